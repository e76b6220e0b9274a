"""Locks through metasrv from Python, by the original contract.

    python3 lock_example.py 127.0.0.1:3002
"""

import sys
import threading
import time
import uuid

import grpc

from metasrv_lock import LockClient

started = time.monotonic()


def elapsed():
    return time.monotonic() - started


def say(text):
    print(f"[{elapsed():6.2f} s] {text}", flush=True)


def check(promise, text):
    if not promise:
        sys.exit(f"broken promise: {text}")


def lock_and_unlock(client, name):
    key = client.lock(name, expire_secs=60)
    say("one: locked")
    client.unlock(key)
    say("one: unlocked")
    client.unlock(key)
    say("one: unlocked again, which is harmless")


def two_workers(client, name):
    """The second gets the lock when the first unlocks."""
    first_key = client.lock(name, expire_secs=60)
    say("first: locked")

    def second():
        say("second: asks, and waits")
        key = client.lock(name, expire_secs=60)
        say("second: locked")
        client.unlock(key)
        say("second: unlocked")

    worker = threading.Thread(target=second)
    worker.start()
    time.sleep(0.5)
    say("first: unlocks")
    client.unlock(first_key)
    worker.join()


def expiry(client, name):
    """A lock that is not unlocked ends by itself; a late unlock does not disturb whoever has it then."""
    asked = elapsed()
    first_key = client.lock(name, expire_secs=1)
    say("slow: locked for 1 s, and works on")
    second_key = client.lock(name, expire_secs=60)
    say("next: locked")
    lasted = elapsed() - asked
    check(lasted >= 1, f"the lock was to last 1 s, but it was given away after {lasted:.2f} s")
    client.unlock(first_key)
    say("slow: unlocks too late, which is harmless")
    try:
        client.lock(name, expire_secs=60, deadline=0.5)
        check(False, "next holds the lock, but another got it")
    except grpc.RpcError as error:
        say(f"other: a deadline of 0.5 s is shorter than the wait: {error.code().name}")
    client.unlock(second_key)
    say("next: unlocked")


def no_default_deadline(client, name):
    """Without a deadline, a call waits as long as it takes."""
    client.lock(name, expire_secs=2)
    say("holder: locked for 2 s, and goes away without unlocking")
    key = client.lock(name, expire_secs=60)
    say("patient: locked, after a wait without a deadline")
    client.unlock(key)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: lock_example.py HOST:PORT")
    client = LockClient(sys.argv[1])
    # Names of this run only, so that runs do not wait for each other.
    run = uuid.uuid4().hex[:8]
    lock_and_unlock(client, f"example/{run}/one")
    two_workers(client, f"example/{run}/two")
    expiry(client, f"example/{run}/three")
    no_default_deadline(client, f"example/{run}/four")
    client.close()
    say("done")


if __name__ == "__main__":
    main()

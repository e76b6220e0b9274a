"""Locks through metasrv from Python, by the original contract.

    python3 lock_example.py 127.0.0.1:3002
    python3 lock_example.py locks.example.com:3002 --ca ca.pem --token-file token
"""

import argparse
import pathlib
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
    parser = argparse.ArgumentParser(description="Locks through metasrv.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--ca", type=pathlib.Path, help="certificate of the authority to trust; without it, there is no TLS")
    parser.add_argument("--cert", type=pathlib.Path, help="this client's certificate")
    parser.add_argument("--key", type=pathlib.Path, help="its private key")
    parser.add_argument("--token-file", type=pathlib.Path, help="file with the token, read for each call")
    options = parser.parse_args()
    client = LockClient(
        options.address,
        **{name: path.read_bytes() for name in ("ca", "cert", "key") if (path := getattr(options, name))},
        read_token=options.token_file and (lambda: options.token_file.read_text().strip()),
    )
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

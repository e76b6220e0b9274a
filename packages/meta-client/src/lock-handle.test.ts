import { inspect } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import type { HeldLock } from "./held-lock.js";
import type { LockOptions } from "./lock-arguments.js";
import { InvalidArgumentError, LimitExceededError, LockLostError, UnavailableError } from "./meta-errors.js";
import { granted, renewed, unlocked } from "./testing/scripted-channel.js";
import { type ScriptedClient, scriptedClient } from "./testing/scripted-client.js";

const notHeld = new LockLostError("the key does not hold its lock");

/** A client that holds `x` for 10 s from now on. */
async function holding(options: LockOptions = {}): Promise<ScriptedClient & { lock: HeldLock; startMs: number }> {
  const client = scriptedClient();
  const startMs = client.clock.now();
  const locked = client.meta.lock("x", { keepAlive: false, ...options });
  (await client.a.locks.next()).answer(granted());
  return { ...client, startMs, lock: await locked };
}

describe("a held lock", () => {
  test("knows its name, key, token and end", async () => {
    const { lock, startMs } = await holding();
    expect(lock.name).toBe("x");
    expect(lock.key).toEqual(Uint8Array.of(7));
    expect(lock.token).toBe(42n);
    expect(lock.expiresAtMs).toBe(startMs + 10_000);
  });

  test("aborts its signal before it ends, and says why", async () => {
    const { lock, clock } = await holding();
    await clock.advance(9_749);
    expect(lock.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
    expect(lock.signal.reason).toMatchObject({
      message:
        'The lock "x" (token 42) reached the end of its TTL (10000 ms) without being renewed. ' +
        "Leave keepAlive on, call renew(), or use a longer ttlMs.",
    });
  });
});

describe("renew", () => {
  test("extends from when the request was sent", async () => {
    const { lock, clock, a, startMs } = await holding();
    await clock.advance(4_000);
    const outcome = lock.renew();
    const call = await a.renewals.next();
    expect(call.request).toMatchObject({ key: lock.key, ttlMs: 10_000 });
    await clock.advance(900);
    call.answer(renewed());
    await expect(outcome).resolves.toBe("renewed");
    expect(lock.expiresAtMs).toBe(startMs + 14_000);
  });

  test("takes a new TTL, which later renewals keep", async () => {
    const { lock, clock, a, startMs } = await holding();
    const outcome = lock.renew(20_000);
    const call = await a.renewals.next();
    expect(call.request.ttlMs).toBe(20_000);
    call.answer(renewed(20_000));
    await outcome;
    expect(lock.expiresAtMs).toBe(startMs + 20_000);
    await clock.advance(1);
    void lock.renew();
    expect((await a.renewals.next()).request.ttlMs).toBe(20_000);
  });

  test("is unknown, and extends nothing, when no endpoint answers", async () => {
    const { lock, clock, a, b, startMs } = await holding();
    const outcome = lock.renew();
    (await a.renewals.next()).fail();
    (await b.renewals.next()).fail();
    await expect(outcome).resolves.toBe("unknown");
    expect(lock.expiresAtMs).toBe(startMs + 10_000);
    expect(lock.signal.aborted).toBe(false);
    expect(clock.timers).toBe(1);
  });

  test("leaves time for other endpoints when one is silent", async () => {
    const { lock, clock, a, b, startMs } = await holding();
    await clock.advance(4_000);
    const outcome = lock.renew();
    await a.renewals.next();
    // This is a third of the 6 s that are left.
    await clock.advance(2_000);
    (await b.renewals.next()).answer(renewed());
    await expect(outcome).resolves.toBe("renewed");
    expect(lock.expiresAtMs).toBe(startMs + 16_000);
  });

  test("for a longer TTL does not outlast an attempt for a shorter one that may still arrive", async () => {
    const { lock, clock, a, b, startMs } = await holding();
    const shorter = lock.renew(5_000);
    (await a.renewals.next()).fail();
    (await b.renewals.next()).answer(renewed(5_000));
    await shorter;
    await clock.advance(1_000);
    const longer = lock.renew(20_000);
    (await b.renewals.next()).answer(renewed(20_000));
    await expect(longer).resolves.toBe("renewed");
    expect(lock.expiresAtMs).toBe(startMs + 1_000 + 5_000);
  });

  test("forgets an attempt that surely never left", async () => {
    const { lock, clock, a, b, startMs } = await holding();
    const shorter = lock.renew(5_000);
    (await a.renewals.next()).fail("no connection", false);
    (await b.renewals.next()).answer(renewed(5_000));
    await shorter;
    await clock.advance(1_000);
    const longer = lock.renew(20_000);
    (await b.renewals.next()).answer(renewed(20_000));
    await longer;
    expect(lock.expiresAtMs).toBe(startMs + 1_000 + 20_000);
  });

  test("is lost when the server says so, and aborts the signal at once", async () => {
    const { lock, a } = await holding();
    const outcome = lock.renew();
    (await a.renewals.next()).reject(notHeld);
    await expect(outcome).resolves.toBe("lost");
    expect(lock.signal.reason).toMatchObject({ name: "LockLostError", cause: notHeld });
    await expect(lock.renew()).resolves.toBe("lost");
    await lock.release();
    expect(a.unlocks.all).toHaveLength(0);
  });

  test("is lost when the validity ends meanwhile, whatever is answered later", async () => {
    const { lock, clock, a, b } = await holding();
    await clock.advance(9_600);
    const outcome = lock.renew();
    await a.renewals.next();
    await clock.advance(149);
    const call = await b.renewals.next();
    await clock.advance(1);
    call.answer(renewed());
    await expect(outcome).resolves.toBe("lost");
    expect(lock.signal.aborted).toBe(true);
  });

  test("waits for the one before", async () => {
    const { lock, a } = await holding();
    const outcomes = Promise.all([lock.renew(30_000), lock.renew(5_000)]);
    const first = await a.renewals.next();
    await settled();
    expect(a.renewals.all).toHaveLength(1);
    first.answer(renewed(30_000));
    (await a.renewals.next()).answer(renewed(5_000));
    await expect(outcomes).resolves.toEqual(["renewed", "renewed"]);
  });

  test("rejects, and changes nothing, when the server turns it down", async () => {
    const { lock, a, startMs } = await holding();
    const outcome = lock.renew(1);
    (await a.renewals.next()).reject(new InvalidArgumentError("ttl_ms must be 10 at least"));
    await expect(outcome).rejects.toThrow("ttl_ms must be 10 at least");
    expect(lock.expiresAtMs).toBe(startMs + 10_000);
    expect(lock.signal.aborted).toBe(false);
    await expect(lock.renew(0.5)).rejects.toThrow(InvalidArgumentError);
  });
});

describe("release", () => {
  test("gives the lock back, once", async () => {
    const { lock, clock, a } = await holding();
    const released = lock.release();
    expect(lock.release()).toBe(released);
    const call = await a.unlocks.next();
    expect(call.request.key).toEqual(lock.key);
    call.answer(unlocked());
    await released;
    await lock[Symbol.asyncDispose]();
    expect(a.unlocks.all).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  test("ends the watch: the signal does not abort any more, and nothing is renewed", async () => {
    const { lock, clock, a } = await holding({ keepAlive: true });
    void lock.release();
    await clock.advance(60_000);
    expect(lock.signal.aborted).toBe(false);
    await expect(lock.renew()).resolves.toBe("lost");
    expect(a.renewals.all).toHaveLength(0);
  });

  test("takes no notice of a renewal that was under way", async () => {
    const { lock, a } = await holding();
    const outcome = lock.renew();
    const renewal = await a.renewals.next();
    const released = lock.release();
    (await a.unlocks.next()).answer(unlocked());
    await released;
    renewal.reject(notHeld);
    await expect(outcome).resolves.toBe("lost");
    expect(lock.signal.aborted).toBe(false);
  });

  test("is repeated until a server answers", async () => {
    const { lock, clock, a, b } = await holding();
    const released = lock.release();
    for (let round = 0; round < 3; round++) {
      (await a.unlocks.next()).fail();
      (await b.unlocks.next()).fail();
      await clock.advance(1_000);
    }
    (await a.unlocks.next()).reject(notHeld);
    await expect(released).resolves.toBeUndefined();
  });

  test("resolves when no server could be told until the lock ended by itself", async () => {
    const { lock, clock, a, b } = await holding();
    const error = lock.release().catch((reason: unknown) => reason);
    a.unlocks.always((call) => {
      call.fail();
    });
    b.unlocks.always((call) => {
      call.fail();
    });
    await clock.advance(9_000);
    await expect(Promise.race([error, Promise.resolve("pending")])).resolves.toBe("pending");
    await clock.advance(1_000);
    await expect(error).resolves.toBeUndefined();
  });

  test("rejects when a server cannot do it", async () => {
    const { lock, a } = await holding();
    const released = lock.release();
    (await a.unlocks.next()).reject(new LimitExceededError("the store is full"));
    await expect(released).rejects.toThrow("the store is full");
    await expect(lock[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });

  test("rejects after unavailableAfterMs when the lock is held for longer", async () => {
    const { lock, clock, a, b } = await holding();
    const outcome = lock.renew(60_000);
    (await a.renewals.next()).answer(renewed(60_000));
    await outcome;
    const error = lock.release().catch((reason: unknown) => reason);
    a.unlocks.always((call) => {
      call.fail();
    });
    b.unlocks.always((call) => {
      call.fail();
    });
    await clock.advance(10_000);
    expect(await error).toBeInstanceOf(UnavailableError);
  });

  test("of a lock that has ended tries once more, and resolves in any case", async () => {
    const { lock, clock, a, b } = await holding();
    await clock.advance(10_000);
    const released = lock.release();
    expect(a.unlocks.all).toHaveLength(1);
    await clock.advance(1_000);
    await clock.advance(1_000);
    expect(b.unlocks.all).toHaveLength(1);
    await expect(released).resolves.toBeUndefined();
  });
});

describe("keepAlive", () => {
  test("renews when a third of the TTL has passed, counted from the sending", async () => {
    const { lock, clock, a, startMs } = await holding({ keepAlive: true });
    await clock.advance(3_333);
    expect(a.renewals.all).toHaveLength(0);
    await clock.advance(1);
    const first = await a.renewals.next();
    await clock.advance(500);
    first.answer(renewed());
    await settled();
    expect(lock.expiresAtMs).toBeCloseTo(startMs + 3_333.3 + 10_000, 0);
    await clock.advance(2_832);
    expect(a.renewals.all).toHaveLength(1);
    await clock.advance(1);
    expect(a.renewals.all).toHaveLength(2);
  });

  test("is on unless it is said otherwise", async () => {
    const client = scriptedClient();
    const locked = client.meta.lock("x");
    (await client.a.locks.next()).answer(granted());
    await locked;
    await client.clock.advance(3_400);
    expect(client.a.renewals.all).toHaveLength(1);
    const { clock, a } = await holding({ keepAlive: false });
    await clock.advance(9_000);
    expect(a.renewals.all).toHaveLength(0);
  });

  test("asks again and again when no server answers, until the lock is over", async () => {
    const { lock, clock, a, b } = await holding({ keepAlive: true });
    a.renewals.always((call) => {
      call.fail("connection lost");
    });
    b.renewals.always((call) => {
      call.fail("connection lost");
    });
    await clock.advance(9_749);
    expect(lock.signal.aborted).toBe(false);
    const asked = a.renewals.all.length;
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(60);
    await clock.advance(1);
    expect(lock.signal.reason).toMatchObject({
      message: expect.stringContaining("could not be renewed in time"),
      cause: { name: "UnavailableError" },
    });
    await clock.advance(60_000);
    expect(a.renewals.all).toHaveLength(asked);
    expect(clock.timers).toBe(0);
  });

  test("goes on after a silence", async () => {
    const { lock, clock, a, b } = await holding({ keepAlive: true });
    let serving = false;
    for (const channel of [a, b]) {
      channel.renewals.always((call) => {
        if (serving) {
          call.answer(renewed());
        } else {
          call.fail();
        }
      });
    }
    await clock.advance(8_000);
    serving = true;
    await clock.advance(60_000);
    expect(lock.signal.aborted).toBe(false);
  });

  test("begins with short pauses again after each silence", async () => {
    const { lock, clock, a, b } = await holding({ keepAlive: true });
    const pausesMs: number[] = [];
    let silentAtMs: number | undefined;
    a.renewals.always((call) => {
      if (silentAtMs === undefined) {
        silentAtMs = clock.now();
        call.fail();
      } else {
        pausesMs.push(clock.now() - silentAtMs);
        silentAtMs = undefined;
        call.answer(renewed());
      }
    });
    b.renewals.always((call) => {
      call.fail();
    });
    await clock.advance(200_000);
    expect(lock.signal.aborted).toBe(false);
    expect(pausesMs.length).toBeGreaterThan(20);
    // The first pause is 276 ms at most. If pauses grew, they would grow to 1000 ms.
    expect(Math.max(...pausesMs)).toBeLessThan(280);
  });

  test("asks again when a server cannot do it now", async () => {
    const { lock, clock, a } = await holding({ keepAlive: true });
    await clock.advance(3_334);
    (await a.renewals.next()).reject(new LimitExceededError("the store is full"));
    await clock.advance(1_000);
    a.renewals.always((call) => {
      call.answer(renewed());
    });
    await clock.advance(60_000);
    expect(lock.signal.aborted).toBe(false);
  });

  test("stops when the lock is lost", async () => {
    const { lock, clock, a } = await holding({ keepAlive: true });
    await clock.advance(3_334);
    (await a.renewals.next()).reject(notHeld);
    await clock.advance(60_000);
    expect(lock.signal.aborted).toBe(true);
    expect(a.renewals.all).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  test("renews no more after maxHoldMs, and the signal aborts at the end", async () => {
    const { lock, clock, a, startMs } = await holding({ keepAlive: true, maxHoldMs: 25_000 });
    a.renewals.always((call) => {
      call.answer(renewed());
    });
    await clock.advance(26_000);
    const endsAtMs = lock.expiresAtMs;
    expect(endsAtMs).toBeLessThanOrEqual(startMs + 35_000);
    await clock.advance(endsAtMs - clock.now() - 251);
    expect(lock.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(lock.signal.reason).toMatchObject({
      name: "LockLostError",
      message:
        'The lock "x" (token 42) was held for maxHoldMs (25000 ms), after which it is not renewed. ' +
        "Set a longer maxHoldMs if the work needs it.",
    });
  });
});

describe("a handle whose process was stopped", () => {
  test("knows that the lock is over before any timer runs", async () => {
    const { lock, clock } = await holding();
    clock.stopFor(12_000);
    expect(lock.remainingMs).toBe(0);
    expect(lock.held).toBe(false);
    expect(lock.signal.aborted).toBe(true);
    expect(() => {
      lock.throwIfLost();
    }).toThrow(LockLostError);
  });

  test("renews nothing that is over", async () => {
    const { lock, clock, a } = await holding();
    clock.stopFor(12_000);
    await expect(lock.renew()).resolves.toBe("lost");
    expect(a.renewals.all).toHaveLength(0);
  });
});

describe("what is shown of a handle", () => {
  test("says what it is and has no key", async () => {
    const { lock } = await holding();
    const shown = [inspect(lock, { depth: 10, showHidden: true }), JSON.stringify(lock)].join(" ");
    expect(shown).toContain('HeldLock { lock "x" (token 42), exclusive, held }');
    expect(shown).not.toMatch(/Uint8Array|holding|key/);
  });

  test("says after the release that it is not held", async () => {
    const { lock, a } = await holding();
    const released = lock.release();
    (await a.unlocks.next()).answer(unlocked());
    await released;
    expect(inspect(lock)).toContain("not held");
    expect(() => {
      lock.throwIfLost();
    }).toThrow("was released");
    expect(lock.remainingMs).toBe(0);
  });
});

test("a signal may have any number of listeners", async () => {
  const { lock } = await holding();
  const warnings: Error[] = [];
  const onWarning = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", onWarning);
  for (let n = 0; n < 100; n++) {
    lock.signal.addEventListener("abort", () => undefined);
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});

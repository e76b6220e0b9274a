import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import type { HeldLock } from "./held-lock.js";
import * as publicFace from "./index.js";
import { ClosedError, InvalidArgumentError, LockLostError, MetaError, UnavailableError } from "./meta-errors.js";
import { granted, refused, renewed, unlocked } from "./testing/scripted-channel.js";
import { type ScriptedClient, scriptedClient } from "./testing/scripted-client.js";

const { MetaClient } = publicFace;
const notHeld = new LockLostError("the key does not hold its lock");

/** A client whose first endpoint grants, renews and releases everything that it is asked for. */
function servedClient(): ScriptedClient {
  const client = scriptedClient();
  client.a.locks.always((call) => {
    call.answer(granted());
  });
  client.a.renewals.always((call) => {
    call.answer(renewed());
  });
  client.a.unlocks.always((call) => {
    call.answer(unlocked());
  });
  return client;
}

test("the package exports what users need, and nothing else", () => {
  expect(Object.keys(publicFace).sort()).toEqual([
    "ClosedError",
    "InvalidArgumentError",
    "LeaderStuckError",
    "LimitExceededError",
    "LockLostError",
    "MetaClient",
    "MetaError",
    "PermissionDeniedError",
    "SelfDeadlockError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedError",
    "WaitTimeoutError",
  ]);
});

describe("new MetaClient", () => {
  test("does no I/O, and refuses bad options", async () => {
    await new MetaClient({ endpoints: ["http://192.0.2.1:1"] }).close();
    expect(() => new MetaClient({ endpoints: [] })).toThrow(InvalidArgumentError);
  });

  test.each([
    [0, "http://a"],
    [0.5, "http://b"],
    [0.99, "http://c"],
  ])("begins at a random endpoint: %d at %s", async (random, expected) => {
    const { clock, a } = scriptedClient();
    const used: string[] = [];
    const createChannel = (endpoint: string): typeof a => {
      return Object.assign(Object.create(a) as typeof a, {
        lock: (...args: Parameters<typeof a.lock>) => {
          used.push(endpoint);
          return a.lock(...args);
        },
      });
    };
    const endpoints = ["http://a", "http://b", "http://c"];
    const meta = new MetaClient({ endpoints }, { clock, random: () => random, createChannel });
    const locked = meta.lock("x");
    (await a.locks.next()).answer(granted());
    await locked;
    expect(used).toEqual([expected]);
  });
});

describe("the original form", () => {
  test("locks for expireSecs, never renews, and unlocks by the key", async () => {
    const { meta, clock, a } = servedClient();
    const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
    expect(a.locks.all[0]?.request).toMatchObject({ lock: { value: "lock_name" }, ttlMs: 60_000n });
    expect(key).toEqual(Uint8Array.of(7));
    await clock.advance(59_000);
    expect(a.renewals.all).toHaveLength(0);
    await expect(meta.unlock({ key })).resolves.toEqual({ released: true });
  });

  test("unlocking what is not held succeeds, and says so", async () => {
    const { meta, a } = scriptedClient();
    const answered = meta.unlock({ key: Uint8Array.of(1) });
    (await a.unlocks.next()).reject(notHeld);
    await expect(answered).resolves.toEqual({ released: false });
  });

  test("unlocking again after a lost answer counts as released", async () => {
    const { meta, a, b } = scriptedClient();
    const answered = meta.unlock({ key: Uint8Array.of(1) });
    (await a.unlocks.next()).fail("connection lost");
    (await b.unlocks.next()).reject(notHeld);
    await expect(answered).resolves.toEqual({ released: true });
  });

  test("unlocking again after an attempt that cannot have arrived does not", async () => {
    const { meta, a, b } = scriptedClient();
    const answered = meta.unlock({ key: Uint8Array.of(1) });
    (await a.unlocks.next()).fail("connect ECONNREFUSED", false);
    (await b.unlocks.next()).reject(notHeld);
    await expect(answered).resolves.toEqual({ released: false });
  });

  test("unlocking moves on from a silent server, and gives up in time", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const error = meta.unlock({ key: Uint8Array.of(1) }).catch((reason: unknown) => reason);
    await a.unlocks.next();
    await clock.advance(5_000);
    await b.unlocks.next();
    await clock.advance(11_000);
    expect(await error).toBeInstanceOf(UnavailableError);
    expect(clock.timers).toBe(0);
  });
});

describe("arguments", () => {
  const name = "x";
  test.each<[string, (meta: publicFace.MetaClient) => Promise<unknown>, string]>([
    ["no name", (meta) => meta.lock(""), "name must be a text or bytes of at least 1 byte, but is ''."],
    ["ttlMs of 0", (meta) => meta.lock(name, { ttlMs: 0 }), "ttlMs must be a whole number of milliseconds, 1 or more"],
    ["a broken ttlMs", (meta) => meta.lock(name, { ttlMs: 0.5 }), "ttlMs must be a whole number of milliseconds"],
    [
      "a negative waitMs",
      (meta) => meta.lock(name, { waitMs: -1 }),
      "waitMs must be a whole number of milliseconds, 0",
    ],
    [
      "no signal",
      (meta) => meta.lock(name, { signal: {} as AbortSignal }),
      "signal must be an AbortSignal, but is {}.",
    ],
    ["no owner", (meta) => meta.lock(name, { owner: 7 as never }), "owner must be a text, but is 7."],
    ["keepAlive", (meta) => meta.lock(name, { keepAlive: 1 as never }), "keepAlive must be true or false, but is 1."],
    ["no mode", (meta) => meta.lock(name, { mode: "read" as never }), 'mode must be "exclusive" or "shared"'],
    [
      "endMarginMs",
      (meta) => meta.lock(name, { ttlMs: 1000, endMarginMs: 501 }),
      "endMarginMs must be half of ttlMs at most",
    ],
    ["endMarginMs", (meta) => meta.lock(name, { endMarginMs: 1 }), "which must be given too, but is 1"],
    ["maxHoldMs", (meta) => meta.lock(name, { maxHoldMs: NaN }), "maxHoldMs must be a whole number of milliseconds"],
    ["options", (meta) => meta.lock(name, 5 as never), "options must be an object such as { ttlMs: 5000 }, but is 5."],
    ["no request", (meta) => meta.lock(null as never), "request must be a name, or an object such as"],
    ["expireSecs", (meta) => meta.lock({ name, expireSecs: 0 }), "expireSecs must be a positive number of seconds"],
    ["a request without a name", (meta) => meta.lock({ expireSecs: 1 } as never), "name must be a text or bytes"],
    ["waiting tryLock", (meta) => meta.tryLock(name, { waitMs: 5 } as never), "waitMs must be absent, because tryLock"],
    ["no locks", (meta) => meta.lockAll([]), "locks must be a list of 1 to 16 names, or of objects such as"],
    [
      "too many locks",
      (meta) => meta.lockAll(Array.from({ length: 17 }, (_, n) => `x${n}`)),
      'or of objects such as { name: "a", mode: "shared" }, but has 17.',
    ],
    [
      "a lock twice",
      (meta) => meta.tryLockAll(["b", name, "b"]),
      'locks must have different names, but has lock "b" twice.',
    ],
    ["no body", (meta) => meta.withLock(name, "body" as never), "body must be a function that is called with the lock"],
    ["no key", (meta) => meta.unlock({} as never), "key must be the bytes that lock() answered with, but is of type"],
    ["an empty key", (meta) => meta.unlock({ key: new Uint8Array() }), "but is no bytes at all."],
  ])("%s: the call rejects, and says what is expected", async (_, call, message) => {
    const { meta, a } = scriptedClient();
    const error = await call(meta).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toBeInstanceOf(MetaError);
    expect((error as InvalidArgumentError).message).toContain(message);
    expect(a.locks.all).toHaveLength(0);
  });
});

describe("await using", () => {
  test("releases the lock, then closes the client, whatever the block does", async () => {
    const client = servedClient();
    const block = async (): Promise<void> => {
      await using meta = client.meta;
      await using lock = await meta.lock("x");
      throw new Error(`of the block, with token ${lock.token}`);
    };
    await expect(block()).rejects.toThrow("of the block, with token 42");
    expect(client.a.unlocks.all).toHaveLength(1);
    expect(client.a.closed).toBe(true);
  });
});

describe("withLock", () => {
  test("runs the body while the lock is kept alive, then releases it and returns the result", async () => {
    const { meta, clock, a } = servedClient();
    const result = await meta.withLock("x", { ttlMs: 5_000 }, async (lock) => {
      await clock.advance(60_000);
      expect(lock.signal.aborted).toBe(false);
      expect(a.unlocks.all).toHaveLength(0);
      return lock.token;
    });
    expect(result).toBe(42n);
    expect(a.unlocks.all).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  test("does not call the body without the lock", async () => {
    const { meta, a } = scriptedClient();
    let called = false;
    const ran = meta.withLock("x", { waitMs: 0 }, () => {
      called = true;
    });
    (await a.locks.next()).answer(refused());
    await expect(ran).rejects.toMatchObject({ code: "WAIT_TIMEOUT" });
    expect(called).toBe(false);
  });

  test("rejects with the body's error, whatever becomes of the release", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const error = new Error("of the body");
    const ran = meta
      .withLock("x", () => {
        throw error;
      })
      .catch((reason: unknown) => reason);
    (await a.locks.next()).answer(granted());
    for (const channel of [a, b]) {
      channel.unlocks.always((call) => {
        call.fail();
      });
    }
    await clock.advance(20_000);
    expect(await ran).toBe(error);
    expect(a.unlocks.all.length).toBeGreaterThan(1);
  });

  test("resolves with the body's result, whatever becomes of the release", async () => {
    const { meta, a } = scriptedClient();
    const ran = meta.withLock("x", () => "done");
    (await a.locks.next()).answer(granted());
    (await a.unlocks.next()).reject(new publicFace.LimitExceededError("the store is full"));
    await expect(ran).resolves.toBe("done");
  });

  test("tells the body of a loss, and settles as the body decides", async () => {
    const { meta, clock, a } = scriptedClient();
    const lose = async (body: (lock: HeldLock) => string): Promise<unknown> => {
      const ran = meta
        .withLock("x", async (lock) => {
          const lost = new Promise((resolve) => {
            lock.signal.addEventListener("abort", resolve);
          });
          await clock.advance(3_334);
          (await a.renewals.next()).reject(notHeld);
          await lost;
          return body(lock);
        })
        .catch((error: unknown) => error);
      (await a.locks.next()).answer(granted());
      return ran;
    };
    expect(await lose(() => "done all the same")).toBe("done all the same");
    const strict = await lose((lock) => {
      lock.signal.throwIfAborted();
      return "not reached";
    });
    expect(strict).toBeInstanceOf(LockLostError);
  });
});

describe("close", () => {
  test("rejects what is pending and what comes later, and closes every channel", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const pending = [meta.lock("x"), meta.tryLock("y"), meta.withLock("z", () => undefined)];
    const errors = Promise.all(pending.map((call) => call.catch((error: unknown) => error)));
    await a.locks.next();
    await meta.close();
    for (const error of await errors) {
      expect(error).toBeInstanceOf(ClosedError);
    }
    for (const call of a.locks.all) {
      expect(call.signal.aborted).toBe(true);
    }
    await expect(meta.lock("x")).rejects.toThrow("The client is closed. Make a new MetaClient to go on.");
    await expect(meta.tryLock("x")).rejects.toThrow(ClosedError);
    await expect(meta.unlock({ key: Uint8Array.of(1) })).rejects.toThrow(ClosedError);
    expect([a.closed, b.closed]).toEqual([true, true]);
    expect(clock.timers).toBe(0);
  });

  test("aborts the signals of held locks, then gives them back", async () => {
    const { meta, clock, a } = servedClient();
    const lock = await meta.lock("x", { keepAlive: true });
    const closed = meta.close();
    expect(lock.signal.reason).toMatchObject({
      name: "LockLostError",
      message: 'The lock "x" (token 42) was given back because its client was closed. Close the client last.',
    });
    expect(a.unlocks.all).toHaveLength(1);
    await closed;
    await expect(lock.release()).resolves.toBeUndefined();
    await expect(lock.renew()).resolves.toBe("lost");
    expect(clock.timers).toBe(0);
  });

  test("leaves locks of the original form, and those released before, alone", async () => {
    const { meta, a } = servedClient();
    await meta.lock({ name: "x", expireSecs: 60 });
    await (await meta.lock("y")).release();
    await meta.close();
    expect(a.unlocks.all).toHaveLength(1);
  });

  test("leaves locks alone that were lost before", async () => {
    const { meta, clock, a } = servedClient();
    await meta.lock("x", { keepAlive: false });
    await clock.advance(10_000);
    await meta.close();
    expect(a.unlocks.all).toHaveLength(0);
  });

  test("gives a silent server one second", async () => {
    const { meta, clock, a } = scriptedClient();
    const locked = meta.lock("x");
    (await a.locks.next()).answer(granted());
    const lock = await locked;
    const unlocking = meta.unlock({ key: Uint8Array.of(1) }).catch((error: unknown) => error);
    const closed = meta.close();
    await clock.advance(999);
    expect(a.closed).toBe(false);
    await clock.advance(1);
    await closed;
    expect(a.closed).toBe(true);
    expect(await unlocking).toBeInstanceOf(ClosedError);
    await expect(lock.release()).resolves.toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  test("gives back a lock whose grant it crosses", async () => {
    const { meta, a } = servedClient();
    const locked = meta.lock("x").catch((error: unknown) => error);
    await settled();
    const closed = meta.close();
    const outcome = await locked;
    await closed;
    expect(outcome).toMatchObject({ signal: { aborted: true } });
    expect(a.unlocks.all).toHaveLength(1);
  });

  test("is idempotent, and is what disposing does", async () => {
    const { meta } = scriptedClient();
    const closed = meta.close();
    expect(meta.close()).toBe(closed);
    await expect(meta[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
});

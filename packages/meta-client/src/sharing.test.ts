import { describe, expect, test } from "@jest/globals";
import { LockMode } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import { InvalidArgumentError, UnexpectedError } from "./meta-errors.js";
import { granted, refused, renewed, unlocked } from "./testing/scripted-channel.js";
import { scriptedClient } from "./testing/scripted-client.js";

describe("a lock that is shared", () => {
  test("is asked for as such, and told with its floor", async () => {
    const { meta, a } = scriptedClient();
    const lock = meta.lock("x", { mode: "shared" });
    const call = await a.locks.next();
    expect(call.request).toMatchObject({ mode: LockMode.SHARED, permits: 0, limit: 0 });
    call.answer(granted({ floor: 40n }));
    expect(await lock).toMatchObject({ mode: "shared", token: 42n, floor: 40n, permits: 1, limit: Infinity });
  });

  test("that is exclusive has its token for a floor, also where an older server names none", async () => {
    const { meta, a } = scriptedClient();
    const lock = meta.lock("x");
    (await a.locks.next()).answer(granted());
    expect(await lock).toMatchObject({ mode: "exclusive", floor: 42n, permits: 1, limit: 1 });
  });
});

describe("a semaphore", () => {
  test("is acquired by permits, and tells the limit that counts", async () => {
    const { meta, a } = scriptedClient();
    const permits = meta.semaphore("x", { limit: 5 }).acquire({ permits: 2, ttlMs: 700 });
    const call = await a.locks.next();
    expect(call.request).toMatchObject({ mode: LockMode.SEMAPHORE, permits: 2, limit: 5, ttlMs: 700n });
    call.answer(granted({ limit: 3 }));
    expect(await permits).toMatchObject({ mode: "semaphore", permits: 2, limit: 3 });
  });

  test("is tried without waiting, and held while a function runs", async () => {
    const { meta, a } = scriptedClient();
    const semaphore = meta.semaphore("x", { limit: 2 });
    const tried = semaphore.tryAcquire();
    const refusal = await a.locks.next();
    expect(refusal.request).toMatchObject({ permits: 1, limit: 2, waitMs: 0n });
    refusal.answer(refused());
    expect(await tried).toBeNull();
    const ran = semaphore.withPermits({ permits: 2 }, (lock) => lock.permits);
    (await a.locks.next()).answer(granted());
    (await a.unlocks.next()).answer(unlocked());
    expect(await ran).toBe(2);
  });

  test.each([
    ["no limit", () => ({}) as { limit: number }, undefined, "limit must be a whole number from 1 to 4294967294"],
    ["a limit of 0", () => ({ limit: 0 }), undefined, "limit must be a whole number from 1 to 4294967294, but is 0."],
    ["too many permits", () => ({ limit: 3 }), { permits: 4 }, "permits must be a whole number from 1 to 3, but is 4."],
    [
      "a mode",
      () => ({ limit: 3 }),
      { mode: "shared" },
      "mode must be absent: each lock has its own, and a semaphore has none",
    ],
  ])("with %s is refused", async (_, options, ask, message) => {
    const { meta, a } = scriptedClient();
    const error: unknown = await Promise.resolve()
      .then(() => meta.semaphore("x", options()).acquire(ask as object))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(message);
    expect(a.locks.all).toHaveLength(0);
  });
});

describe("a downgrade", () => {
  test("makes an exclusive lock a shared one, and each later renewal asks for it again", async () => {
    const { meta, a } = scriptedClient();
    const asked = meta.lock("x");
    (await a.locks.next()).answer(granted());
    const lock = await asked;
    const first = lock.renew();
    const plain = await a.renewals.next();
    expect(plain.request.downgraded).toBe(false);
    plain.answer(renewed());
    await first;
    const downgraded = lock.downgrade();
    await settled();
    // It counts as shared before a server has answered.
    expect(lock.mode).toBe("shared");
    const call = await a.renewals.next();
    expect(call.request.downgraded).toBe(true);
    call.answer(renewed());
    expect(await downgraded).toBe("renewed");
    const later = lock.renew();
    const again = await a.renewals.next();
    expect(again.request.downgraded).toBe(true);
    again.answer(renewed());
    expect(await later).toBe("renewed");
  });

  test("that is refused leaves an exclusive lock, which is renewed as such", async () => {
    const { meta, a } = scriptedClient();
    const asked = meta.lock("x");
    (await a.locks.next()).answer(granted());
    const lock = await asked;
    const downgraded = lock.downgrade();
    (await a.renewals.next()).reject(new UnexpectedError("a member of the cluster is too old"));
    await expect(downgraded).rejects.toThrow("too old");
    expect(lock.mode).toBe("exclusive");
    const later = lock.renew();
    const again = await a.renewals.next();
    expect(again.request.downgraded).toBe(false);
    again.answer(renewed());
    expect(await later).toBe("renewed");
  });

  test("of which nobody knows whether a server did it counts as done, and is asked for again", async () => {
    const { meta, a, b } = scriptedClient();
    const asked = meta.lock("x");
    (await a.locks.next()).answer(granted());
    const lock = await asked;
    const downgraded = lock.downgrade();
    (await a.renewals.next()).fail();
    (await b.renewals.next()).reject(new UnexpectedError("too many requests"));
    await expect(downgraded).rejects.toThrow("too many requests");
    expect(lock.mode).toBe("shared");
    void lock.renew();
    expect((await Promise.race([a.renewals.next(), b.renewals.next()])).request.downgraded).toBe(true);
  });

  test("of permits is refused, and nothing is asked", async () => {
    const { meta, a } = scriptedClient();
    const asked = meta.semaphore("x", { limit: 2 }).acquire();
    (await a.locks.next()).answer(granted({ limit: 2 }));
    await expect((await asked).downgrade()).rejects.toThrow("only an exclusive lock can be downgraded");
    expect(a.renewals.all).toHaveLength(0);
  });
});

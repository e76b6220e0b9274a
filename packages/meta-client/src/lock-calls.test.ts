import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { LockResponseSchema } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import {
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  UnavailableError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";
import { granted, refused, unlocked } from "./testing/scripted-channel.js";
import { scriptedClient } from "./testing/scripted-client.js";

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

describe("a request for a lock", () => {
  test("says what the caller wants", async () => {
    const { meta, a } = scriptedClient();
    const locked = meta.lock("orders/42", { ttlMs: 5_000, waitMs: 2_000, owner: "me" });
    const call = await a.locks.next();
    expect(call.request).toMatchObject({
      lock: { case: "name", value: "orders/42" },
      ttlMs: 5_000n,
      waitMs: 2_000n,
      owner: "me",
    });
    expect(call.request.ticketId).toHaveLength(16);
    call.answer(granted());
    await locked;
  });

  test("leaves to the server what the caller does not say, and names the client as the owner", async () => {
    const { meta, a } = scriptedClient();
    void meta.lock(Uint8Array.of(0, 1));
    const { request } = await a.locks.next();
    expect(request).toMatchObject({
      lock: { case: "nameBytes", value: Uint8Array.of(0, 1) },
      ttlMs: 0n,
      owner: "tester",
    });
    expect(request.waitMs).toBeUndefined();
  });

  test("is a ticket of its own", async () => {
    const { meta, a } = scriptedClient();
    void meta.lock("x");
    void meta.lock("x");
    const [one, other] = [await a.locks.next(), await a.locks.next()];
    expect(one.request.ticketId).not.toEqual(other.request.ticketId);
  });

  test("is repeated at the next endpoint as the same ticket, for what is left of the wait", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const locked = meta.lock("x", { waitMs: 2_000 });
    const first = await a.locks.next();
    await clock.advance(800);
    first.fail();
    const second = await b.locks.next();
    expect(second.request.ticketId).toEqual(first.request.ticketId);
    expect(second.request.waitMs).toBe(1_200n);
    second.answer(granted());
    await locked;
  });

  test("has no bound but the caller's", async () => {
    const { meta, clock, a } = scriptedClient();
    const locked = meta.lock("x");
    const call = await a.locks.next();
    await clock.advance(7 * 24 * 3_600_000);
    call.answer(granted({ waitedMs: 7 * 24 * 3_600_000 }));
    await expect(locked).resolves.toMatchObject({ token: 42n });
    expect(a.locks.all).toHaveLength(1);
  });

  test("counts the grant from the attempt that was answered, and from its waiting time", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const locked = meta.lock("x");
    const first = await a.locks.next();
    await clock.advance(60_000);
    first.fail();
    const second = await b.locks.next();
    const sentAtMs = clock.now();
    await clock.advance(5_000);
    second.answer(granted({ ttlMs: 8_000n, waitedMs: 4_900 }));
    // 0.1 % of the wait is not counted, because the clocks may differ by that.
    expect((await locked).expiresAtMs).toBeCloseTo(sentAtMs + 4_900 - 4.9 + 8_000);
  });
});

describe("a wait that is bounded", () => {
  test("ends with the server's answer, which says who holds", async () => {
    const { meta, a } = scriptedClient();
    const error = failureOf(meta.lock("x", { waitMs: 0 }));
    (await a.locks.next()).answer(refused({ holderOwner: "bob", holderToken: 7n, waiters: 3 }));
    expect(await error).toBeInstanceOf(WaitTimeoutError);
    expect(await error).toMatchObject({
      message:
        'Could not acquire lock "x" within 0 ms: it is held by "bob" (token 7), and 3 wait for it. ' +
        "Wait longer, or try again later.",
      holderOwner: "bob",
      holderToken: 7n,
      waiters: 3,
      unanswered: undefined,
    });
  });

  test.each([
    [refused({ holderToken: 7n }), "it is held by an unnamed owner (token 7), and 0 wait for it."],
    [
      refused({
        holderOwner: "ann",
        holderToken: 7n,
        holders: [{ owner: "ann", token: 7n, permits: 1, heldMs: 12_900n }],
        holderCount: 3,
        waiters: 1,
      }),
      'it is held by "ann" (token 7, for 12 s) and 2 more, and 1 wait for it.',
    ],
    [refused({ waiters: 2 }), "nobody holds it, but 2 wait for it."],
    [create(LockResponseSchema, { outcome: { case: "refused", value: {} } }), "it is taken."],
  ])("says what a server knows of the lock: %#", async (answer, expected) => {
    const { meta, a } = scriptedClient();
    const error = failureOf(meta.lock("x", { waitMs: 0 }));
    (await a.locks.next()).answer(answer);
    expect(await error).toMatchObject({ message: expect.stringContaining(expected) });
  });

  test("ends by the client's own clock when no server answers", async () => {
    const { meta, clock, a } = scriptedClient();
    const error = failureOf(meta.lock("x", { waitMs: 2_000 }));
    const call = await a.locks.next();
    await clock.advance(2_499);
    expect(call.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(call.signal.aborted).toBe(true);
    expect(await error).toBeInstanceOf(WaitTimeoutError);
    expect(await error).toMatchObject({ holderOwner: undefined, holderToken: undefined, waiters: undefined });
    expect(await error).toMatchObject({ unanswered: [] });
    expect(clock.timers).toBe(0);
  });

  test("names the last failure when no endpoint could be reached", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const error = failureOf(meta.lock("x", { waitMs: 100 }));
    (await a.locks.next()).fail("connect ECONNREFUSED", false);
    (await b.locks.next()).fail("connect ETIMEDOUT", false);
    await clock.advance(0);
    await clock.advance(5_000);
    for (const call of [...a.locks.all, ...b.locks.all]) {
      call.fail("connect ECONNREFUSED", false);
    }
    expect(await error).toMatchObject({
      name: "WaitTimeoutError",
      message: expect.stringContaining("no server has answered by then; last, http://b:3002 failed: connect ETIMEDOUT"),
      cause: { name: "EndpointFailure" },
      unanswered: [
        { endpoint: "http://a:3002", reason: "connect ECONNREFUSED", certificateRefused: false },
        { endpoint: "http://b:3002", reason: "connect ETIMEDOUT", certificateRefused: false },
      ],
    });
  });

  test("asks within the slack whether an earlier attempt was granted", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const locked = meta.lock("x", { waitMs: 1_000 });
    const first = await a.locks.next();
    await clock.advance(1_100);
    first.fail();
    const second = await b.locks.next();
    expect(second.request.waitMs).toBe(0n);
    second.answer(granted());
    await expect(locked).resolves.toBeDefined();
  });
});

describe("tryLock", () => {
  test("does not wait, and resolves to null when the lock is taken", async () => {
    const { meta, a } = scriptedClient();
    const tried = meta.tryLock("x");
    const call = await a.locks.next();
    expect(call.request.waitMs).toBe(0n);
    call.answer(refused());
    await expect(tried).resolves.toBeNull();
  });

  test("repeats an attempt without an answer as the same ticket", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const tried = meta.tryLock("x");
    const first = await a.locks.next();
    await clock.advance(5_000);
    const second = await b.locks.next();
    expect(second.request.ticketId).toEqual(first.request.ticketId);
    second.answer(granted());
    await expect(tried).resolves.toMatchObject({ token: 42n });
  });

  test("gives up after two rounds", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const error = failureOf(meta.tryLock("x"));
    for (const channel of [a, b]) {
      (await channel.locks.next()).fail();
    }
    await clock.advance(1_000);
    for (const channel of [a, b]) {
      (await channel.locks.next()).fail();
    }
    expect(await error).toBeInstanceOf(UnavailableError);
  });
});

describe("a lock that is not wanted", () => {
  test("is withdrawn when the caller's signal aborts, with its reason", async () => {
    const { meta, clock, a } = scriptedClient();
    const controller = new AbortController();
    const error = failureOf(meta.lock("x", { signal: controller.signal }));
    const call = await a.locks.next();
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await error).toBe(reason);
    expect(call.signal.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test("is not asked for when the signal has aborted already", async () => {
    const { meta, a } = scriptedClient();
    await expect(meta.lock("x", { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    expect(a.locks.all).toHaveLength(0);
  });

  test("is given back when the grant and the abort cross", async () => {
    const { meta, a } = scriptedClient();
    const controller = new AbortController();
    const error = failureOf(meta.lock("x", { signal: controller.signal }));
    const call = await a.locks.next();
    call.answer(granted({ key: Uint8Array.of(9) }));
    controller.abort(new Error("enough"));
    expect(await error).toEqual(new Error("enough"));
    const unlock = await a.unlocks.next();
    expect(unlock.request.key).toEqual(Uint8Array.of(9));
    unlock.answer(unlocked());
  });

  test("is given back when its grant was over before it arrived", async () => {
    const { meta, clock, a } = scriptedClient();
    const error = failureOf(meta.lock("x", { ttlMs: 50 }));
    const call = await a.locks.next();
    await clock.advance(80);
    call.answer(granted({ ttlMs: 50n }));
    expect(await error).toBeInstanceOf(LockLostError);
    (await a.unlocks.next()).answer(unlocked());
  });
});

describe("an answer that is an error", () => {
  test.each([
    ["a limit", new LimitExceededError("too many waiters")],
    ["a bad name", new InvalidArgumentError("name is too long")],
  ])("reaches the caller: %s", async (_, answer) => {
    const { meta, a, b } = scriptedClient();
    const error = failureOf(meta.lock("x"));
    (await a.locks.next()).reject(answer);
    expect(await error).toBe(answer);
    expect(b.locks.all).toHaveLength(0);
  });

  test("is unexpected when it neither grants nor refuses", async () => {
    const { meta, a } = scriptedClient();
    const error = failureOf(meta.lock("x"));
    (await a.locks.next()).answer(create(LockResponseSchema));
    expect(await error).toBeInstanceOf(UnexpectedError);
    await settled();
  });
});

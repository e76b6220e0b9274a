import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import {
  ForceReleaseResponseSchema,
  GetLockResponseSchema,
  ListBlockedResponseSchema,
  ListForcedResponseSchema,
  ListLocksResponseSchema,
  LockMode,
  WatchLockResponseSchema,
  WatchLocksResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import { type LockSummary, readLock } from "./lock-info.js";
import { InvalidArgumentError, UnexpectedError } from "./meta-errors.js";
import { scriptedClient } from "./testing/scripted-client.js";

const summary = (name: string): LockSummary => ({ ...free, name });
const free: LockSummary = {
  name: "",
  mode: undefined,
  holders: [],
  holderCount: 0,
  waiters: 0,
  permitsHeld: 0,
  limit: 0,
  oldestWaitMs: 0,
};

const named = (name: string) => ({ case: "name", value: name }) as const;

function pageOf(nextPageToken: string, ...names: readonly string[]) {
  return create(ListLocksResponseSchema, { locks: names.map((name) => ({ lock: named(name) })), nextPageToken });
}

describe("what a server shows", () => {
  test("of a lock is read with its modes and times", () => {
    const response = create(GetLockResponseSchema, {
      lock: {
        lock: { case: "name", value: "a" },
        mode: LockMode.SHARED,
        oldestWaitMs: 300n,
        state: {
          holders: [{ owner: "ann", token: 7n, permits: 1, heldMs: 1_500n }],
          holderCount: 2,
          waiters: 1,
          permitsHeld: 2,
          limit: 2 ** 32 - 1,
        },
      },
      tickets: [
        { token: 7n, mode: LockMode.SHARED, holds: true, owner: "ann", heldMs: 1_500n, ageMs: 1_500n, expiresInMs: 9n },
        { token: 8n, mode: LockMode.SEMAPHORE, permits: 2, limit: 5, position: 1, timesAreMinimum: true },
        { token: 9n, mode: LockMode.EXCLUSIVE, position: 2 },
      ],
    });
    expect(readLock(response)).toMatchObject({
      name: "a",
      mode: "shared",
      holders: [{ owner: "ann", token: 7n, permits: 1, heldMs: 1_500 }],
      holderCount: 2,
      waiters: 1,
      limit: Infinity,
      oldestWaitMs: 300,
      tickets: [
        { token: 7n, mode: "shared", permits: 1, limit: Infinity, heldMs: 1_500, expiresInMs: 9 },
        { token: 8n, mode: "semaphore", permits: 2, limit: 5, position: 1, timesAreMinimum: true },
        { token: 9n, mode: "exclusive", permits: 1, limit: 1, expiresInMs: undefined },
      ],
    });
    expect(() => readLock(create(GetLockResponseSchema))).toThrow(UnexpectedError);
  });
});

describe("meta.locks", () => {
  test("get asks for a lock, and sees what a token saw", async () => {
    const { meta, a } = scriptedClient();
    const shown = meta.locks.get("x", { minToken: 42n, maxTickets: 5 });
    const call = await a.inspections.next();
    expect(call.request).toEqual({
      method: "getLock",
      request: { lock: { case: "name", value: "x" }, minToken: 42n, maxTickets: 5 },
    });
    call.answer(create(GetLockResponseSchema, { lock: { lock: { case: "name", value: "x" } } }));
    expect(await shown).toEqual({ ...summary("x"), tickets: [] });
  });

  test("list goes through the pages as they are needed, at another endpoint when one fails", async () => {
    const { meta, a, b } = scriptedClient();
    const locks = meta.locks.list({ prefix: "o", waitingOnly: true });
    const first = locks.next();
    const page = await a.inspections.next();
    expect(page.request).toMatchObject({
      method: "listLocks",
      request: { beginning: { case: "prefix", value: "o" }, waitingOnly: true, pageToken: "" },
    });
    page.answer(pageOf("more", "o1", "o2"));
    expect(await first).toMatchObject({ value: { name: "o1" } });
    expect(await locks.next()).toMatchObject({ value: { name: "o2" } });
    const third = locks.next();
    (await a.inspections.next()).fail();
    const again = await b.inspections.next();
    expect(again.request).toMatchObject({ request: { pageToken: "more" } });
    again.answer(pageOf("", "o3"));
    expect(await third).toMatchObject({ value: { name: "o3" } });
    expect(await locks.next()).toEqual({ done: true, value: undefined });
  });

  test.each([
    ["maxTickets", { maxTickets: 0 }, "maxTickets must be a whole number from 1 to 250, but is 0."],
    ["minToken", { minToken: 5 as never }, "minToken must be the token of a grant, a bigint, but is 5."],
  ])("get with a bad %s is refused", async (_, options, message) => {
    const { meta, a } = scriptedClient();
    const error: unknown = await meta.locks.get("x", options).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toBe(message);
    expect(a.inspections.all).toHaveLength(0);
  });

  test("a closed client shows nothing", async () => {
    const { meta } = scriptedClient();
    await meta.close();
    await expect(meta.locks.get("x")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(meta.locks.list().next()).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("force names a ticket by its token, and says who does it and why", async () => {
    const { meta, a } = scriptedClient();
    const shown = meta.locks.force("x", 42n, { reason: "the host is gone" });
    const call = await a.inspections.next();
    expect(call.request).toEqual({
      method: "forceRelease",
      request: { lock: named("x"), token: 42n, reason: "the host is gone", actor: "tester", dryRun: false },
    });
    call.answer(create(ForceReleaseResponseSchema, { ticket: { token: 42n, holds: true, labels: { job: "n" } } }));
    expect(await shown).toMatchObject({ token: 42n, holds: true, labels: { job: "n" } });
  });

  test("forced shows the records of that", async () => {
    const { meta, a } = scriptedClient();
    const first = meta.locks.forced().next();
    const call = await a.inspections.next();
    call.answer(
      create(ListForcedResponseSchema, {
        releases: [
          { lock: { lock: named("x") }, token: 42n, owner: "ann", held: true, actor: "ops", reason: "r", unixMs: 7n },
        ],
      }),
    );
    expect((await first).value).toEqual({
      name: "x",
      token: 42n,
      owner: "ann",
      held: true,
      actor: "ops",
      reason: "r",
      at: new Date(7),
    });
  });

  test("blocked and deadlocks show who waits, and for whom", async () => {
    const { meta, a } = scriptedClient();
    const answer = create(ListBlockedResponseSchema, {
      locks: [{ lock: { lock: named("x") }, waiter: { token: 2n }, blockers: [{ token: 1n, holds: true }] }],
      deadlocks: [{ requests: [{ lock: { lock: named("x") }, ticket: { token: 2n } }] }],
    });
    const first = meta.locks.blocked({ prefix: "x", minWaitMs: 5 }).next();
    const call = await a.inspections.next();
    expect(call.request).toMatchObject({
      method: "listBlocked",
      request: { beginning: { case: "prefix", value: "x" }, minWaitMs: 5n },
    });
    call.answer(answer);
    expect((await first).value).toMatchObject({
      name: "x",
      waiter: { token: 2n },
      blockers: [{ token: 1n, holds: true }],
    });
    const deadlocks = meta.locks.deadlocks();
    (await a.inspections.next()).answer(answer);
    expect(await deadlocks).toMatchObject([[{ name: "x", ticket: { token: 2n } }]]);
  });

  test("watch goes on at another endpoint when one fails, and ends with its signal", async () => {
    const { meta, a, b } = scriptedClient();
    const end = new AbortController();
    const watch = meta.locks.watch("x", { signal: end.signal });
    const first = watch.next();
    const stream = await a.streams.next();
    expect(stream.request).toEqual({ method: "watchLock", request: { lock: named("x") } });
    stream.tell(create(WatchLockResponseSchema, { lock: { lock: named("x") }, tickets: [{ token: 1n, holds: true }] }));
    expect((await first).value).toMatchObject({ tickets: [{ token: 1n }] });
    const second = watch.next();
    stream.fail();
    const other = await b.streams.next();
    other.tell(create(WatchLockResponseSchema, { lock: { lock: named("x") } }));
    expect((await second).value).toMatchObject({ tickets: [] });
    const third = watch.next();
    end.abort(new Error("enough"));
    await expect(third).rejects.toThrow("enough");
    expect(other.signal.aborted).toBe(true);
  });

  test("a watch that is left ends its stream", async () => {
    const { meta, a } = scriptedClient();
    const watch = meta.locks.watch("x");
    const first = watch.next();
    const stream = await a.streams.next();
    stream.tell(create(WatchLockResponseSchema, { lock: { lock: named("x") } }));
    await first;
    await watch.return();
    expect(stream.signal.aborted).toBe(true);
  });

  test("watchAll tells what is gone when a stream begins anew", async () => {
    const { meta, a, b } = scriptedClient();
    const told: unknown[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const { locks, removed, complete } of meta.locks.watchAll({ signal: end.signal })) {
        told.push([locks.map(({ name }) => name), removed, complete]);
      }
    })().catch(() => undefined);
    const changes = (names: readonly string[], more: object = {}) => {
      return create(WatchLocksResponseSchema, { locks: names.map((name) => ({ lock: named(name) })), ...more });
    };
    const gone = (name: string) => ({ removed: [{ lock: named(name) }] });
    const stream = await a.streams.next();
    stream.tell(changes(["a", "b", "c"]));
    stream.tell(changes([], { complete: true }));
    stream.tell(changes([], gone("b")));
    stream.tell(changes([], gone("never told")));
    stream.fail();
    const other = await b.streams.next();
    other.tell(changes(["c", "d"], { complete: true }));
    other.tell(changes(["d"], { restarted: true, complete: true }));
    await settled();
    end.abort();
    await watching;
    expect(told).toEqual([
      [["a", "b", "c"], [], false],
      [[], [], true],
      [[], ["b"], true],
      [["c", "d"], ["a"], true],
      [["d"], ["c"], true],
    ]);
  });
});

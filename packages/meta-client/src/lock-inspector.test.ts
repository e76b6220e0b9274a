import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { GetLockResponseSchema, ListLocksResponseSchema, LockMode } from "@metasrv/proto/metasrv/v1";
import { type LockSummary, readLock, readPage } from "./lock-info.js";
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

  test("of many is read a page at a time", () => {
    const name = Uint8Array.of(0xff);
    const response = create(ListLocksResponseSchema, {
      locks: [{ lock: { case: "nameBytes", value: name } }],
      nextPageToken: "x",
    });
    expect(readPage(response)).toEqual({ locks: [{ ...free, name }], next: "x" });
  });
});

describe("meta.locks", () => {
  test("get asks for a lock, and sees what a token saw", async () => {
    const { meta, a } = scriptedClient();
    const shown = meta.locks.get("x", { minToken: 42n, maxTickets: 5 });
    const call = await a.gets.next();
    expect(call.request).toEqual({ lock: { case: "name", value: "x" }, minToken: 42n, maxTickets: 5 });
    call.answer({ ...summary("x"), tickets: [] });
    expect(await shown).toEqual({ ...summary("x"), tickets: [] });
  });

  test("list goes through the pages as they are needed, at another endpoint when one fails", async () => {
    const { meta, a, b } = scriptedClient();
    const locks = meta.locks.list({ prefix: "o", waitingOnly: true });
    const first = locks.next();
    const page = await a.pages.next();
    expect(page.request).toMatchObject({ beginning: { case: "prefix", value: "o" }, waitingOnly: true, pageToken: "" });
    page.answer({ locks: [summary("o1"), summary("o2")], next: "more" });
    expect(await first).toMatchObject({ value: { name: "o1" } });
    expect(await locks.next()).toMatchObject({ value: { name: "o2" } });
    const third = locks.next();
    (await a.pages.next()).fail();
    const again = await b.pages.next();
    expect(again.request).toMatchObject({ pageToken: "more" });
    again.answer({ locks: [summary("o3")], next: "" });
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
    expect(a.gets.all).toHaveLength(0);
  });

  test("a closed client shows nothing", async () => {
    const { meta } = scriptedClient();
    await meta.close();
    await expect(meta.locks.get("x")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(meta.locks.list().next()).rejects.toMatchObject({ code: "CLOSED" });
  });
});

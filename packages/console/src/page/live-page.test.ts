import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { ApiError } from "./api.js";
import { LivePage } from "./live-page.js";
import { readName } from "./lock-name.js";
import { ScriptedApi } from "./testing/scripted-api.js";

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

const passes = (ms: number) => jest.advanceTimersByTimeAsync(ms);

const lockOf = (name: string) => ({ name, state: { holderCount: 1, holders: [{ owner: "o", token: "1" }] } });

/** A page whose stream has told of one lock. */
async function livePage() {
  const api = new ScriptedApi();
  api.answers.set("ListMembers", { members: [{ id: "m1", role: "MEMBER_ROLE_LEADER" }] });
  let changes = 0;
  const page = new LivePage({ api, changed: () => changes++ });
  page.start();
  const stream = () => api.latest("WatchLocks");
  stream().say({ locks: [lockOf("orders/1")], complete: true });
  await passes(0);
  return { api, page, stream, changes: () => changes };
}

/** How many streams of all locks were opened. */
const opened = (api: ScriptedApi) => api.streams.filter(({ method }) => method.endsWith("/WatchLocks")).length;

describe("what the page shows", () => {
  test("is stale before the server has told anything", () => {
    const page = new LivePage({ api: new ScriptedApi(), changed: () => undefined });
    expect([page.isStale, page.ageMs]).toEqual([true, undefined]);
  });

  test("is as fresh as the last word of the stream, and stale after three seconds without one", async () => {
    const { page, stream, changes } = await livePage();
    expect([page.isStale, page.board.locks]).toEqual([false, 1]);
    await passes(3_000);
    expect([page.isStale, page.ageMs]).toEqual([false, 3_000]);
    const before = changes();
    await passes(1_000);
    // Each second, who draws the page is told to look again.
    expect([page.isStale, page.board.locks, changes() > before]).toEqual([true, 1, true]);
    stream().say({});
    await passes(0);
    expect([page.isStale, page.ageMs]).toEqual([false, 0]);
  });

  test("comes from another stream when one is silent for six seconds", async () => {
    const { api, page, stream } = await livePage();
    const [first] = api.streams;
    await passes(6_000);
    expect([page.problem?.code, first?.signal.aborted]).toEqual(["unavailable", true]);
    await passes(250);
    stream().say({ locks: [lockOf("orders/2")], complete: true });
    await passes(0);
    expect([page.problem, page.isStale, page.board.locks]).toEqual([undefined, false, 1]);
  });

  test("is stale at once when the stream breaks, and it is tried again after ever longer pauses, of 5 s at most", async () => {
    const { api, page, stream } = await livePage();
    const pausesMs: number[] = [];
    for (let times = 0; times < 7; times++) {
      const before = opened(api);
      stream().fail(new ApiError("unavailable", "no"));
      await passes(0);
      expect(page.isStale).toBe(true);
      let pausedMs = 0;
      while (opened(api) === before) {
        await passes(50);
        pausedMs += 50;
      }
      pausesMs.push(pausedMs);
    }
    expect(pausesMs).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  test("wants a token when the server does, and goes on with it at once", async () => {
    const { api, page, stream } = await livePage();
    for (let times = 0; times < 6; times++) {
      stream().fail(new ApiError("unauthenticated", "who are you?"));
      await passes(times < 5 ? 5_000 : 0);
    }
    const before = opened(api);
    expect([page.wantsToken, page.isStale]).toEqual([true, true]);
    page.useToken("secret");
    await passes(0);
    expect([opened(api), stream().token]).toEqual([before + 1, "secret"]);
    stream().say({});
    await passes(0);
    expect([page.wantsToken, page.problem, page.isStale]).toEqual([false, undefined, false]);
  });

  test("is only what begins with the prefix, and nothing of the stream before", async () => {
    const { api, page, stream } = await livePage();
    const before = stream();
    page.history.sample(1_000, page.board);
    page.show("reports/");
    expect(stream().request).toEqual({ prefix: "reports/", pulse: true });
    before.say({ locks: [lockOf("orders/2")] });
    stream().say({ locks: [lockOf("reports/1")], complete: true });
    await passes(0);
    expect([before.signal.aborted, opened(api)]).toEqual([true, 2]);
    expect(page.board.families().map(({ name }) => name)).toEqual(["reports/"]);
    expect(page.history.rates[0]).toEqual([]);
    page.show("reports/");
    expect(opened(api)).toBe(2);
  });

  test("is a queue of one lock at a time, whose stream is opened anew with the one of all locks", async () => {
    const { api, page, stream } = await livePage();
    page.select(readName({ name: "orders/1" }));
    const first = api.latest("WatchLock");
    page.select(readName({ name: "orders/2" }));
    const second = api.latest("WatchLock");
    expect([first.signal.aborted, second.signal.aborted]).toEqual([true, false]);
    stream().fail(new ApiError("unavailable", "no"));
    await passes(0);
    expect([second.signal.aborted, api.latest("WatchLock") === second]).toEqual([true, false]);
    page.select(undefined);
    expect([page.queue, api.latest("WatchLock").signal.aborted]).toEqual([undefined, true]);
  });

  test("has the servers, asked for every two seconds, and keeps them while they do not answer", async () => {
    const { api, page } = await livePage();
    expect(page.members).toEqual([{ id: "m1", role: "MEMBER_ROLE_LEADER" }]);
    api.answers.set("ListMembers", {});
    await passes(2_000);
    expect([page.members, page.readiness]).toEqual([[], { ready: true, problems: [] }]);
    api.answers.set("ListMembers", { members: [{ id: "m2" }] });
    await passes(2_000);
    api.answers.delete("ListMembers");
    await passes(2_000);
    expect(page.members).toEqual([{ id: "m2" }]);
  });
});

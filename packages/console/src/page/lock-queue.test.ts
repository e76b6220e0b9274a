import { describe, expect, test } from "@jest/globals";
import { ApiError } from "./api.js";
import { readName } from "./lock-name.js";
import { LockQueue } from "./lock-queue.js";
import { ScriptedApi } from "./testing/scripted-api.js";

const turn = () => new Promise((resolve) => setTimeout(resolve));

const release = (name: string, reason: string) => ({ lock: { name }, token: "7", reason });

function queueOf(api: ScriptedApi) {
  let changes = 0;
  const pauses: number[] = [];
  const queue = new LockQueue(readName({ name: "orders/42" }), {
    api,
    changed: () => changes++,
    pause: (broken) => {
      pauses.push(broken);
      return Promise.resolve();
    },
  });
  return { queue, pauses, changes: () => changes };
}

describe("the queue of a lock", () => {
  test("is asked for with a bound on its requests, and knows how many there are beyond", async () => {
    const api = new ScriptedApi();
    const { queue } = queueOf(api);
    const stream = api.latest("WatchLock");
    expect(stream.request).toMatchObject({ maxTickets: 250 });
    const tickets = Array.from({ length: 250 }, (_, at) => ({ token: String(at) }));
    stream.say({ lock: { state: { holderCount: 1, waiters: 9_999 } }, tickets });
    await turn();
    expect([queue.tickets.length, queue.size]).toEqual([250, 10_000]);
    queue.close();
  });

  test("stays shown while its stream is broken, and says why, until the next one tells", async () => {
    const api = new ScriptedApi();
    const { queue, pauses } = queueOf(api);
    api.latest("WatchLock").say({ lock: { state: { holderCount: 1 } }, tickets: [{ token: "1" }] });
    await turn();
    const { toldAtMs } = queue;
    api.latest("WatchLock").fail(new ApiError("unavailable", "gone"));
    await turn();
    expect(queue.problem?.message).toBe("gone");
    expect([queue.tickets, queue.toldAtMs]).toEqual([[{ token: "1" }], toldAtMs]);
    expect(pauses).toEqual([1]);
    api.latest("WatchLock").say({ lock: {}, tickets: [] });
    await turn();
    expect([queue.problem, queue.tickets, queue.size]).toEqual([undefined, [], 0]);
    queue.close();
  });

  test("leaves its stream for another one when it is told to, and for none when it is closed", async () => {
    const api = new ScriptedApi();
    const { queue, changes } = queueOf(api);
    const first = api.latest("WatchLock");
    queue.restart();
    const second = api.latest("WatchLock");
    expect([first.signal.aborted, second.signal.aborted]).toEqual([true, false]);
    queue.close();
    await turn();
    const before = changes();
    second.say({ tickets: [{ token: "1" }] });
    await turn();
    expect([second.signal.aborted, api.streams.length, changes()]).toEqual([true, 2, before]);
    expect(queue.problem).toBeUndefined();
  });

  test("has the forced releases of its own lock, again after each", async () => {
    const api = new ScriptedApi();
    api.answers.set("ListForced", { releases: [release("orders/42", "old"), release("orders/43", "not this one")] });
    api.answers.set("ForceRelease", {});
    const { queue } = queueOf(api);
    await turn();
    expect(queue.forced).toEqual([release("orders/42", "old")]);
    api.answers.set("ListForced", { releases: [release("orders/42", "new"), release("orders/42", "old")] });
    await queue.force("17", { reason: "new", actor: "ops" });
    expect(queue.forced).toHaveLength(2);
    expect(api.calls.find(({ method }) => method.endsWith("/ForceRelease"))?.request).toEqual({
      name: "orders/42",
      token: "17",
      reason: "new",
      actor: "ops",
    });
    queue.close();
  });

  test("says why it does not know of forced releases", async () => {
    const { queue } = queueOf(new ScriptedApi());
    await turn();
    expect([queue.forced, queue.forcedProblem]).toEqual([undefined, expect.stringContaining("no metasrv.v1")]);
    queue.close();
  });
});

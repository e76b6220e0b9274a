import { getEventListeners, getMaxListeners } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { CallScope, Cancellation, sleep } from "./cancellation.js";

describe("Cancellation", () => {
  test("tells its listeners once, with the first reason", () => {
    const told: unknown[] = [];
    const cancellation = new Cancellation();
    cancellation.listen({ onCancel: (reason) => told.push(["one", reason]) });
    cancellation.listen({ onCancel: (reason) => told.push(["other", reason]) });
    cancellation.cancel("enough");
    cancellation.cancel("more than enough");
    expect(told).toEqual([
      ["one", "enough"],
      ["other", "enough"],
    ]);
    expect(cancellation.reason).toBe("enough");
  });

  test("does not tell those that do not listen any more, even while it tells the others", () => {
    const told: string[] = [];
    const cancellation = new Cancellation();
    const late = { onCancel: () => told.push("late") };
    const gone = { onCancel: () => told.push("gone") };
    cancellation.listen(gone);
    cancellation.listen({
      onCancel: () => {
        told.push("first");
        cancellation.unlisten(late);
      },
    });
    cancellation.listen(late);
    cancellation.unlisten(gone);
    cancellation.cancel("enough");
    expect(told).toEqual(["first"]);
  });

  test("throws its reason once it is cancelled", () => {
    const cancellation = new Cancellation();
    cancellation.throwIfCancelled();
    cancellation.cancel(new Error("enough"));
    expect(() => {
      cancellation.throwIfCancelled();
    }).toThrow("enough");
  });

  test.each([
    ["before", true],
    ["after", false],
  ])("has a signal that aborts with it, also when it is asked for %s", (_, early) => {
    const cancellation = new Cancellation();
    if (early) {
      expect(cancellation.signal.aborted).toBe(false);
    }
    cancellation.cancel("enough");
    expect(cancellation.signal.reason).toBe("enough");
    expect(cancellation.signal).toBe(cancellation.signal);
  });

  test("tells its listeners before those of its signal", () => {
    const told: string[] = [];
    const cancellation = new Cancellation();
    cancellation.signal.addEventListener("abort", () => told.push("signal"));
    cancellation.listen({ onCancel: () => told.push("listener") });
    cancellation.cancel("enough");
    expect(told).toEqual(["listener", "signal"]);
  });
});

describe("CallScope", () => {
  test("takes the reason of the first cause", async () => {
    const clock = new ManualClock();
    const caller = new Cancellation();
    const scope = new CallScope().follow(caller).cancelAt(clock, clock.now() + 10, () => new Error("too late"));
    await clock.advance(10);
    caller.cancel(new Error("enough"));
    expect(scope.reason).toEqual(new Error("too late"));
  });

  test("follows a signal", () => {
    const controller = new AbortController();
    const scope = new CallScope().followSignal(controller.signal);
    expect(scope.cancelled).toBe(false);
    controller.abort("enough");
    expect(scope.reason).toBe("enough");
  });

  test("follows what has ended already", () => {
    expect(new CallScope().followSignal(AbortSignal.abort("enough")).reason).toBe("enough");
    const over = new Cancellation();
    over.cancel("enough");
    expect(new CallScope().follow(over).reason).toBe("enough");
  });

  test("leaves nothing on what outlives it", () => {
    const clock = new ManualClock();
    const caller = new Cancellation();
    const { signal } = new AbortController();
    const scope = new CallScope().follow(caller).followSignal(signal);
    scope.cancelAt(clock, Infinity, () => new Error());
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    scope.end();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(clock.timers).toBe(0);
    caller.cancel("enough");
    expect(scope.cancelled).toBe(false);
  });

  test("makes no warning when one signal ends many calls", () => {
    const { signal } = new AbortController();
    new CallScope().followSignal(signal).end();
    expect(getMaxListeners(signal)).toBe(Infinity);
  });
});

test("a sleep ends when it is cancelled, and leaves no timer", async () => {
  const clock = new ManualClock();
  const scope = new Cancellation();
  const slept = sleep(clock, 1_000, scope);
  await settled();
  scope.cancel(new Error("enough"));
  await expect(slept).rejects.toThrow("enough");
  expect(clock.timers).toBe(0);
  await expect(sleep(clock, 1_000, scope)).rejects.toThrow("enough");
});

import { getEventListeners, getMaxListeners } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { CallScope } from "./call-scope.js";
import { Cancellation } from "./cancellation.js";

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

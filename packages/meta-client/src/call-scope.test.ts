import { describe, expect, test } from "@jest/globals";
import { getEventListeners, getMaxListeners } from "node:events";
import { CallScope } from "./call-scope.js";
import { FakeClock } from "./testing/fake-clock.js";

describe("CallScope", () => {
  test("takes the reason of the first cause", async () => {
    const clock = new FakeClock();
    const caller = new AbortController();
    const scope = new CallScope().follow(caller.signal).cancelAt(clock, clock.now() + 10, () => new Error("too late"));
    await clock.advance(10);
    caller.abort(new Error("enough"));
    expect(scope.signal.reason).toEqual(new Error("too late"));
  });

  test("follows a signal that has aborted already", () => {
    const scope = new CallScope().follow(AbortSignal.abort("enough"));
    expect(scope.signal.reason).toBe("enough");
  });

  test("leaves nothing on a signal that outlives it", () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const scope = new CallScope().follow(signal).cancelAt(clock, Infinity, () => new Error());
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    scope.end();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(clock.timers).toBe(0);
  });

  test("makes no warning when one signal ends many calls", () => {
    const { signal } = new AbortController();
    new CallScope().follow(signal).end();
    expect(getMaxListeners(signal)).toBe(Infinity);
  });
});

import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "./testing/index.js";
import { callAt, gatherByEventLoop, systemClock } from "./time.js";

describe("systemClock", () => {
  test("never fires before its own time has come", async () => {
    const delays = [0, 0.1, 0.9, 1, 1.5, 3];
    const early = await Promise.all(
      delays.map((delayMs) => {
        const dueMs = systemClock.now() + delayMs;
        return new Promise<boolean>((resolve) => {
          systemClock.after(
            delayMs,
            () => {
              resolve(systemClock.now() < dueMs);
            },
            true,
          );
        });
      }),
    );
    expect(early).toEqual(delays.map(() => false));
  });
});

describe("callAt", () => {
  test("calls back later, also for what is past", async () => {
    const clock = new ManualClock();
    let called = 0;
    callAt(clock, clock.now() - 5, () => called++);
    expect(called).toBe(0);
    await clock.advance(0);
    expect(called).toBe(1);
  });

  test("can be taken back, also when it has been set again", async () => {
    const clock = new ManualClock();
    let called = 0;
    const timer = callAt(clock, Infinity, () => called++);
    await clock.advance(2 ** 32);
    timer.cancel();
    expect(clock.timers).toBe(0);
    expect(called).toBe(0);
  });
});

test("what is urgent is done after the running callback, the rest after this turn of the event loop", async () => {
  const done: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      gatherByEventLoop(() => {
        done.push("soon");
        resolve();
      }, false);
      gatherByEventLoop(() => done.push("urgent"), true);
      setImmediate(() => done.push("next turn"));
      done.push("callback");
    });
  });
  expect(done).toEqual(["callback", "urgent", "soon"]);
});

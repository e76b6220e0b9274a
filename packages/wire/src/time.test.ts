import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "./testing/index.js";
import { callAt, gatherByEventLoop, ProcessTime, systemClock } from "./time.js";

describe("systemClock", () => {
  test("never fires before its own time has come", async () => {
    const delays = [0, 0.1, 0.9, 1, 1.5, 3, 120, 170.5];
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

/** A machine whose clocks the test sets. */
class Machine {
  monotonicMs = 1_000;
  bootMs = 50_000;
  dayMs = 1_700_000_000_000;
  looks = 0;
  /** For how long the process is stopped the next times that it reads the boot time. */
  stopsFor: number[] = [];

  readonly times = {
    monotonic: () => this.monotonicMs,
    boot: () => {
      this.looks++;
      this.run(this.stopsFor.shift() ?? 0);
      return this.bootMs;
    },
    day: () => this.dayMs,
  };

  run(ms: number): void {
    this.monotonicMs += ms;
    this.suspend(ms);
  }

  suspend(ms: number): void {
    this.bootMs += ms;
    this.dayMs += ms;
  }
}

describe("the time of a process", () => {
  test("goes on while the machine is suspended", () => {
    const machine = new Machine();
    const time = new ProcessTime(machine.times);
    const beganMs = time.now();
    machine.run(500);
    expect(time.now()).toBe(beganMs + 500);
    expect(machine.looks).toBe(1);
    machine.suspend(12_000);
    expect(time.now()).toBe(beganMs + 12_500);
    expect(time.suspendedMs).toBe(12_000);
    machine.run(500);
    machine.suspend(3_000);
    expect(time.now()).toBe(beganMs + 16_000);
    expect(machine.looks).toBe(3);
  });

  test("does not follow the time of day, whoever sets that and however", () => {
    const machine = new Machine();
    const time = new ProcessTime(machine.times);
    const beganMs = time.now();
    for (const jumpMs of [3_600_000, -7_200_000, 150, -150]) {
      machine.dayMs += jumpMs;
      machine.run(10);
      time.now();
    }
    expect(time.now()).toBe(beganMs + 40);
    expect(time.suspendedMs).toBe(0);
  });

  test("never goes back, and takes a clock that is right to 10 ms for what it is", () => {
    const machine = new Machine();
    const time = new ProcessTime(machine.times);
    let lastMs = time.now();
    for (let n = 0; n < 100; n++) {
      machine.bootMs += n % 2 === 0 ? 10 : -10;
      machine.dayMs += n % 3 === 0 ? 200 : -100;
      machine.run(1);
      const nowMs = time.now();
      expect(nowMs).toBeGreaterThan(lastMs);
      lastMs = nowMs;
    }
    expect(time.suspendedMs).toBe(0);
  });

  test("does not take it for a suspension that the process was stopped while it read the clocks", () => {
    const machine = new Machine();
    const time = new ProcessTime(machine.times);
    const beganMs = time.now();
    machine.dayMs += 500;
    machine.stopsFor = [120, 300];
    expect(time.now()).toBe(beganMs);
    machine.run(0);
    expect(time.now()).toBe(beganMs + 420);
    expect(time.suspendedMs).toBe(0);
  });

  test("lets timers fire that became due meanwhile, and the others when they are due", async () => {
    const machine = new Machine();
    const clock = new ProcessTime(machine.times).clock(true);
    const fired: string[] = [];
    const due = new Promise<void>((resolve) => {
      clock.after(60_000, () => {
        fired.push("a minute");
        resolve();
      });
    });
    const later = clock.after(3_600_000, () => fired.push("an hour"));
    const cancelled = clock.after(1_000, () => fired.push("cancelled"));
    cancelled.cancel();
    machine.suspend(60_000);
    // Nobody looks at the clock: it finds out by itself.
    await due;
    expect(fired).toEqual(["a minute"]);
    later.cancel();
  });
});

describe("a timer that is due late", () => {
  /** Timers that keep this process alive. */
  const holding = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;

  test("keeps the process alive from the beginning, if it is to", async () => {
    const time = new ProcessTime(new Machine().times);
    const before = holding();
    const background = time.clock(false).after(60_000, () => undefined);
    expect(holding()).toBe(before);
    const timer = time.clock(true).after(60_000, () => undefined);
    expect(holding()).toBe(before + 1);
    await new Promise((resolve) => time.clock(true).after(0, () => setTimeout(resolve, 60)));
    expect(holding()).toBe(before + 1);
    timer.cancel();
    background.cancel();
    expect(holding()).toBe(before);
  });

  test("is not told when it was cancelled before it became one of Node's, or after", async () => {
    const clock = new ProcessTime(new Machine().times).clock(false);
    const fired: number[] = [];
    const timers = [110, 120, 130].map((delayMs) => clock.after(delayMs, () => fired.push(delayMs)));
    timers[0]?.cancel();
    await new Promise<void>((resolve) => {
      systemClock.after(70, () => {
        timers[1]?.cancel();
        clock.after(160, resolve, true);
      });
    });
    expect(fired).toEqual([130]);
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

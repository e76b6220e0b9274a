import { afterEach, describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import fc from "fast-check";
import { Alarm, Alarms } from "./alarms.js";

class Bell extends Alarm {
  readonly #rung: (bell: Bell) => void;

  constructor(rung: (bell: Bell) => void) {
    super();
    this.#rung = rung;
  }

  override ring(): void {
    this.#rung(this);
  }
}

describe("alarms", () => {
  const clock = new ManualClock();
  const alarms = new Alarms(clock);

  afterEach(() => {
    expect(clock.timers).toBe(0);
  });

  test("ring when their delay has passed since they were set last, and not when they were cancelled", async () => {
    const step = fc.record({
      bell: fc.nat({ max: 4 }),
      delayMs: fc.constantFrom(0, 10, 25),
      what: fc.constantFrom("set", "cancel"),
      thenMs: fc.constantFrom(0, 1, 10, 24),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const due = new Map<Bell, number>();
        const bells = Array.from({ length: 5 }, () => new Bell(rung));
        function rung(bell: Bell): void {
          expect(due.get(bell)).toBe(clock.now());
          due.delete(bell);
        }
        for (const { bell: index, delayMs, what, thenMs } of steps) {
          const bell = bells[index];
          if (bell !== undefined && what === "set") {
            alarms.set(bell, delayMs);
            due.set(bell, clock.now() + delayMs);
          } else if (bell !== undefined) {
            alarms.cancel(bell);
            due.delete(bell);
          }
          await clock.advance(thenMs);
        }
        await clock.advance(50);
        expect(due.size).toBe(0);
      }),
    );
  });

  test("may be set and cancelled by one that rings", async () => {
    const rung: string[] = [];
    const cancelled = new Bell(() => rung.push("cancelled"));
    const first: Bell = new Bell(() => {
      rung.push("first");
      alarms.cancel(cancelled);
      if (rung.length === 1) {
        alarms.set(first, 10);
      }
    });
    alarms.set(first, 10);
    alarms.set(cancelled, 10);
    await clock.advance(20);
    expect(rung).toEqual(["first", "first"]);
  });

  test("do not ring once closed", async () => {
    const closed = new Alarms(clock);
    closed.set(
      new Bell(() => {
        throw new Error("it has rung");
      }),
      10,
    );
    closed.close();
    await clock.advance(20);
  });
});

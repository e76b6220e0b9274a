import type { Clock, Timer } from "../src/locks/clock.js";

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only when the test says so. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #alarms = new Set<Alarm>();

  /** Timers that are set. */
  get timers(): number {
    return this.#alarms.size;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const alarm = { atMs: this.#nowMs + delayMs, callback };
    this.#alarms.add(alarm);
    return {
      cancel: () => {
        this.#alarms.delete(alarm);
      },
    };
  }

  /** Lets time pass; timers go off in their order, and what they start goes on until it waits for something. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settled();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= untilMs && (next === undefined || alarm.atMs < next.atMs)) {
        next = alarm;
      }
    }
    return next;
  }
}

/** Resolves once everything that can go on without time or events from outside has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

import type { Clock, Timer } from "../clock.js";

interface PendingTimer extends Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Lets every promise that can settle without I/O settle. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until the test advances it. */
export class FakeClock implements Clock {
  readonly #timers = new Set<PendingTimer>();
  #nowMs = 1_000;

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = {
      atMs: this.#nowMs + delayMs,
      callback,
      cancel: () => this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Moves time on, firing timers in order, and lets what they set off settle before the next. */
  async advance(byMs: number): Promise<void> {
    const targetMs = this.#nowMs + byMs;
    await settle();
    for (let next = this.#next(targetMs); next !== undefined; next = this.#next(targetMs)) {
      next.cancel();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = targetMs;
  }

  #next(targetMs: number): PendingTimer | undefined {
    const due = [...this.#timers].filter((timer) => timer.atMs <= targetMs);
    return due.sort((one, other) => one.atMs - other.atMs)[0];
  }
}

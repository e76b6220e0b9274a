import type { Clock, Timer } from "../time.js";

interface SetTimer extends Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only when the test says so. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #timers = new Set<SetTimer>();

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: SetTimer = {
      atMs: this.#nowMs + delayMs,
      callback,
      cancel: () => {
        this.#timers.delete(timer);
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Lets time pass. Timers fire in their order, and what they start runs until it waits for something. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settled();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass in which the process is stopped: its timers fire with the next {@link advance}. */
  stopFor(byMs: number): void {
    this.#nowMs += byMs;
  }

  #next(untilMs: number): SetTimer | undefined {
    let next: SetTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) {
        next = timer;
      }
    }
    return next;
  }
}

/** Resolves once everything has run that can run without more time or events from outside. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

import type { Cancellation } from "./cancellation.js";

/** A timer that has been set and can be taken back. */
export interface Timer {
  cancel(): void;
}

/** Monotonic time, passed in so that tests own it. No wall clock decides anything. */
export interface Clock {
  /** Milliseconds, with fractions, since an arbitrary moment. Never goes back. */
  now(): number;
  /**
   * Calls back once, not earlier than `delayMs` from now by {@link now}.
   *
   * @param delayMs - at most {@link maxDelayMs}
   * @param holdsProcess - whether the process stays alive for this timer; by default it does not
   */
  after(delayMs: number, callback: () => void, holdsProcess?: boolean): Timer;
}

/** The longest delay that a Node timer can wait, less the millisecond that {@link systemClock} adds. */
export const maxDelayMs = 2 ** 31 - 2;

/** The clock of this process: `performance.now()`. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback, holdsProcess = false) => new SystemTimer(delayMs, callback, holdsProcess),
};

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void, holdsProcess: boolean) {
    // Node counts whole milliseconds from a cached time, so a timer can fire up to one millisecond early.
    this.#timeout = setTimeout(callback, Math.ceil(delayMs) + 1);
    if (!holdsProcess) this.#timeout.unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

/** Calls back, never before this returns, once `clock.now()` has reached `atMs`, however far away that is. */
export function callAt(clock: Clock, atMs: number, callback: () => void): Timer {
  return new Alarm(clock, atMs, callback);
}

class Alarm implements Timer {
  readonly #clock: Clock;
  readonly #atMs: number;
  readonly #callback: () => void;
  #timer: Timer;

  constructor(clock: Clock, atMs: number, callback: () => void) {
    this.#clock = clock;
    this.#atMs = atMs;
    this.#callback = callback;
    this.#timer = this.#arm();
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #arm(): Timer {
    const delayMs = Math.min(Math.max(this.#atMs - this.#clock.now(), 0), maxDelayMs);
    return this.#clock.after(delayMs, () => {
      if (this.#clock.now() >= this.#atMs) this.#callback();
      else this.#timer = this.#arm();
    });
  }
}

/**
 * Resolves after `delayMs`; rejects with the reason when `scope` is cancelled.
 *
 * @param holdsProcess - whether the process stays alive until then
 */
export async function sleep(clock: Clock, delayMs: number, scope: Cancellation, holdsProcess = true): Promise<void> {
  scope.throwIfCancelled();
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      timer.cancel();
      scope.unlisten(listener);
      resolve();
    };
    const listener = { onCancel: wake };
    const timer = clock.after(Math.min(delayMs, maxDelayMs), wake, holdsProcess);
    scope.listen(listener);
  });
  scope.throwIfCancelled();
}

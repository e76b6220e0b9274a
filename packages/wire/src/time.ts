/** A timer that has been set and can be taken back. */
export interface Timer {
  cancel(): void;
}

/** Monotonic time. It is passed in, so that tests can control it. No wall clock decides anything. */
export interface Clock {
  /** Milliseconds, with fractions, since an arbitrary moment. Never goes back. */
  now(): number;
  /**
   * Calls back once, not earlier than `delayMs` from now by {@link now}.
   *
   * @param delayMs - at most {@link longestTimerMs}
   * @param holdsProcess - whether the process stays alive for this timer; absent: as the clock does by default
   */
  after(delayMs: number, callback: () => void, holdsProcess?: boolean): Timer;
}

/**
 * The longest delay of a timer, about 24 days: as long as Node can wait, less the millisecond that the clocks here add.
 */
export const longestTimerMs = 2 ** 31 - 2;

/** The clock of this process. Its timers keep the process alive. */
export const systemClock: Clock = createClock(true);

/** The clock of this process. Its timers do not keep the process alive. */
export const backgroundClock: Clock = createClock(false);

function createClock(holdsByDefault: boolean): Clock {
  return {
    now: () => performance.now(),
    after: (delayMs, callback, holdsProcess = holdsByDefault) => new SystemTimer(delayMs, callback, holdsProcess),
  };
}

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void, holdsProcess: boolean) {
    // Node counts whole milliseconds from a cached time, so its timer can fire up to one millisecond early.
    this.#timeout = setTimeout(callback, Math.ceil(delayMs) + 1);
    if (!holdsProcess) {
      this.#timeout.unref();
    }
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

/** Calls back once `clock.now()` has reached `atMs`, however far away that is, and never before this returns. */
export function callAt(clock: Clock, atMs: number, callback: () => void): Timer {
  return new DistantTimer(clock, atMs, callback);
}

class DistantTimer implements Timer {
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
    const delayMs = Math.min(Math.max(this.#atMs - this.#clock.now(), 0), longestTimerMs);
    return this.#clock.after(delayMs, () => {
      if (this.#clock.now() >= this.#atMs) {
        this.#callback();
      } else {
        this.#timer = this.#arm();
      }
    });
  }
}

/**
 * Calls `done` soon, so that what comes close together goes out together. It calls after this turn of the event loop,
 * in which all connections are read. If `urgent`, it calls after the callback that is running.
 */
export type Gather = (done: () => void, urgent: boolean) => void;

/** Gathers by the event loop of this process. */
export const gatherByEventLoop: Gather = (done, urgent) => {
  if (urgent) {
    process.nextTick(done);
  } else {
    setImmediate(done);
  }
};

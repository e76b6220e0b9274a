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
   * @param delayMs - at most 2^31 - 2 milliseconds, the longest a Node timer can wait
   */
  after(delayMs: number, callback: () => void): Timer;
}

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    // Node counts whole milliseconds from a cached time, so a timer can fire up to one millisecond early.
    const timeout = setTimeout(callback, Math.ceil(delayMs) + 1);
    return {
      cancel: () => {
        clearTimeout(timeout);
      },
    };
  },
};

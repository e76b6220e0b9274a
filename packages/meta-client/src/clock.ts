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
  after(delayMs, callback, holdsProcess = false) {
    // Node counts whole milliseconds from a cached time, so a timer can fire up to one millisecond early.
    const timeout = setTimeout(callback, Math.ceil(delayMs) + 1);
    if (!holdsProcess) timeout.unref();
    return {
      cancel: () => {
        clearTimeout(timeout);
      },
    };
  },
};

/** Calls back, never before this returns, once `clock.now()` has reached `atMs`, however far away that is. */
export function callAt(clock: Clock, atMs: number, callback: () => void): Timer {
  const arm = (): Timer => clock.after(Math.min(Math.max(atMs - clock.now(), 0), maxDelayMs), check);
  const check = (): void => {
    if (clock.now() >= atMs) callback();
    else timer = arm();
  };
  let timer = arm();
  return {
    cancel: () => {
      timer.cancel();
    },
  };
}

/** Resolves after `delayMs`, and keeps the process alive until then; rejects with the signal's reason when it aborts. */
export async function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = clock.after(Math.min(delayMs, maxDelayMs), wake, true);
    signal.addEventListener("abort", wake);
  });
  signal.throwIfAborted();
}

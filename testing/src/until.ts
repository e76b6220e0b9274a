import { setTimeout as sleep } from "node:timers/promises";

/** How long and how often {@link until} looks. */
export interface UntilOptions {
  /** What is waited for, in the words of the error: "waited 30000 ms for ...". */
  readonly what: string;
  /**
   * 30,000 when absent: on a busy machine, what takes a moment takes seconds. It is how long a failure goes unnoticed, and no
   * promise of speed.
   */
  readonly timeoutMs?: number;
  /** Time between two looks; 10 when absent. */
  readonly intervalMs?: number;
}

/**
 * Waits until the predicate is true, by calling it again and again. Only for what no event announces.
 *
 * @throws Error when the time is over; what the predicate throws, at once
 */
export async function until(predicate: () => boolean | Promise<boolean>, options: UntilOptions): Promise<void> {
  const { what, timeoutMs = 30_000, intervalMs = 10 } = options;
  const deadline = performance.now() + timeoutMs;
  while (!(await predicate())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}`);
    }
    await sleep(intervalMs);
  }
}

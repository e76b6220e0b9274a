import { ExponentialBackoff, type IBackoff } from "cockatiel";
import type { Clock, Timer } from "../../locks/clock.js";

const policy = new ExponentialBackoff({ initialDelay: 50, maxDelay: 1_000 });

/** Jittered pauses between attempts, growing from about 50 ms to 1 s. */
export class Backoff {
  readonly #clock: Clock;
  #next: IBackoff<unknown> = policy.next();
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next pause is a short one again. */
  reset(): void {
    this.#next = policy.next();
  }

  /**
   * Resolves after the next pause, or at once when closed.
   *
   * @param sinceMs - when the attempt began that failed: what has passed since then counts; absent: nothing does
   */
  async wait(sinceMs = this.#clock.now()): Promise<void> {
    const leftMs = sinceMs + this.#next.duration - this.#clock.now();
    if (leftMs <= 0) {
      return;
    }
    this.#next = this.#next.next(undefined);
    await new Promise<void>((resolve) => {
      if (this.#closed) {
        resolve();
        return;
      }
      this.#wake = resolve;
      this.#timer = this.#clock.after(leftMs, resolve);
    });
  }

  /** Ends the pause, and every later one. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#wake?.();
  }
}

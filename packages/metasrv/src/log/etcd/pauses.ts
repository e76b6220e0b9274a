import { Backoff, type Clock, type Timer } from "@metasrv/wire";

/** Pauses between attempts, growing from about 50 ms to 400 ms: an etcd that elects a leader is back within seconds. */
export class Pauses {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #waiting = new Map<() => void, Timer>();
  #closed = false;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#backoff = new Backoff({ initialMs: 100, maxMs: 400, random });
  }

  /** The next pause is a short one again. */
  reset(): void {
    this.#backoff.reset();
  }

  /**
   * Resolves after the next pause, or at once when closed.
   *
   * @param sinceMs - when the attempt began that failed: what has passed since then counts; absent: nothing does
   */
  async wait(sinceMs = this.#clock.now()): Promise<void> {
    const passedMs = this.#clock.now() - sinceMs;
    if (this.#closed || passedMs >= this.#backoff.boundMs) {
      return;
    }
    const leftMs = this.#backoff.nextMs() - passedMs;
    if (leftMs <= 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.set(wake, this.#clock.after(leftMs, wake));
    });
  }

  /** Ends all pauses, and every later one. */
  close(): void {
    this.#closed = true;
    for (const [wake, timer] of [...this.#waiting]) {
      timer.cancel();
      wake();
    }
  }
}

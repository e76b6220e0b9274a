import type { Clock, Timer } from "./clock.js";

/**
 * The TTL of one hold. It does not end while a renewal is on its way to the log: the renewal may have been committed in
 * time, and its answer decides.
 */
export class HoldClock {
  readonly #clock: Clock;
  readonly #expire: () => void;
  /** When the hold was granted or last renewed: what the TTL and the reported wait are measured from. */
  #since = 0;
  /** Replaced at every renewal. */
  #timer: Timer | undefined;
  /** Renewals on their way; several can be, each of which may extend the hold. */
  #renewals = 0;
  /** Whether the TTL has passed meanwhile, so that the last of the renewals has to end the hold if none extended it. */
  #overdue = false;

  constructor(clock: Clock, expire: () => void) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** When the current TTL started, by the clock. */
  get since(): number {
    return this.#since;
  }

  /** Gives the hold a full TTL from now on. */
  start(ttlMs: number): void {
    this.stop();
    this.#since = this.#clock.now();
    this.#timer = this.#clock.after(ttlMs, () => {
      if (this.#renewals > 0) {
        this.#overdue = true;
      } else {
        this.#expire();
      }
    });
  }

  /** The hold is over: it does not expire any more. */
  stop(): void {
    this.#overdue = false;
    this.#timer?.cancel();
  }

  /** A renewal sets out. */
  renewing(): void {
    this.#renewals++;
  }

  /** A renewal is settled, and has called {@link start} if it extended the hold. */
  renewed(): void {
    this.#renewals--;
    if (this.#overdue && this.#renewals === 0) {
      this.#expire();
    }
  }
}

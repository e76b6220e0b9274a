import { Backoff, callAt, type Clock, type Timer } from "@metasrv/wire";
import type { Validity } from "./grant.js";
import type { RenewOutcome } from "./held-lock.js";

// A lock is renewed when a third of its TTL has passed, so two more renewals can fail before it is in danger.
const renewedPartOfTtl = 1 / 3;
// Pauses after a renewal without an answer, as parts of the TTL. With a TTL of 10 s, the first pause is about 200 ms;
// later ones grow to a second.
const firstPausePartOfTtl = 1 / 50;
const longestPausePartOfTtl = 1 / 10;

export interface KeepAliveOptions {
  readonly clock: Clock;
  readonly validity: Validity;
  readonly renew: () => Promise<RenewOutcome>;
  /** At this moment, on the clock, renewals end. */
  readonly renewUntilMs: number;
}

/**
 * Renews a lock again and again, until the lock is lost, {@link stop} is called, or it was held as long as is allowed.
 */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #validity: Validity;
  readonly #renew: () => Promise<RenewOutcome>;
  readonly #renewUntilMs: number;
  #backoff: Backoff | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: KeepAliveOptions) {
    this.#clock = options.clock;
    this.#validity = options.validity;
    this.#renew = options.renew;
    this.#renewUntilMs = options.renewUntilMs;
    this.#scheduleNext();
  }

  /** Ends renewals. A renewal that is under way is not taken back. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Renews now, without waiting for the time of the next renewal. */
  renewNow(): void {
    if (this.#stopped) {
      return;
    }
    this.#timer?.cancel();
    void this.#tick();
  }

  #scheduleNext(): void {
    this.#backoff = undefined;
    const { expiresAtMs, ttlMs } = this.#validity;
    this.#schedule(expiresAtMs - ttlMs * (1 - renewedPartOfTtl));
  }

  #scheduleRetry(): void {
    const { ttlMs } = this.#validity;
    this.#backoff ??= new Backoff({ initialMs: ttlMs * firstPausePartOfTtl, maxMs: ttlMs * longestPausePartOfTtl });
    this.#schedule(this.#clock.now() + this.#backoff.nextMs());
  }

  #schedule(atMs: number): void {
    this.#timer?.cancel();
    this.#timer = callAt(this.#clock, atMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    if (this.#clock.now() >= this.#renewUntilMs) {
      return;
    }
    // A refusal, such as by a store that is full, may pass just as a silence may. So it goes on asking until the lock
    // is over.
    const outcome = await this.#renew().catch(() => "unknown" as const);
    if (this.#stopped || outcome === "lost") {
      return;
    }
    if (outcome === "renewed") {
      this.#scheduleNext();
    } else {
      this.#scheduleRetry();
    }
  }
}

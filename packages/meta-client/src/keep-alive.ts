import { Backoff, callAt, type Clock, type Timer } from "@metasrv/wire";
import type { RenewOutcome } from "./held-lock.js";
import type { Validity } from "./validity.js";

// Renewed when a third of the TTL has passed: two more can fail before the lock is in danger.
const renewedPartOfTtl = 1 / 3;
// Pauses after a renewal without an answer, as parts of the TTL: a lock that lasts 10 s is asked for again after some
// 200 ms, then ever more rarely, but every second.
const firstPausePartOfTtl = 1 / 50;
const longestPausePartOfTtl = 1 / 10;

/** What {@link KeepAlive} works with. */
export interface KeepAliveOptions {
  readonly clock: Clock;
  readonly validity: Validity;
  readonly renew: () => Promise<RenewOutcome>;
  /** From when on, on the clock, nothing is renewed any more. */
  readonly renewUntilMs: number;
}

/** Renews a lock again and again, until it is lost, stopped, or has been held as long as it may be. */
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

  /** Nothing is renewed any more; a renewal under way is not taken back. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Does not wait for the time of the next renewal. */
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
    // A refusal, such as of a store that is full, may pass as well as a silence: ask until the lock is over.
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

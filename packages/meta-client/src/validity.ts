import { callAt, type Clock, type Timer } from "@metasrv/wire";
import { Cancellation } from "./cancellation.js";
import type { LockLostError } from "./meta-errors.js";

const marginPartOfTtl = 0.05;
const longestMarginMs = 250;

/** How long before its end a validity counts as over: 5 % of the TTL, at most 250 ms. */
export function marginMs(ttlMs: number): number {
  return Math.min(ttlMs * marginPartOfTtl, longestMarginMs);
}

/** When a validity began, for how long, and what ends it. */
export interface ValidityOptions {
  readonly clock: Clock;
  readonly startedAtMs: number;
  readonly ttlMs: number;
  /** Makes the reason with which the signal aborts when the validity runs out. */
  readonly ranOut: () => LockLostError;
}

/**
 * Until when a lock is surely held, by the client's own clock. Pure rules over a clock, no I/O.
 *
 * It never ends later than the server's hold: only confirmed renewals extend it. A renewal whose outcome is not known
 * can only shorten it, because it may have given the lock a shorter TTL.
 *
 * Renewals come one at a time: {@link ask}, then one of {@link confirm}, {@link doubt} and {@link dismiss}.
 */
export class Validity {
  readonly #clock: Clock;
  readonly #ranOut: () => LockLostError;
  readonly #over = new Cancellation();
  #confirmedUntilMs: number;
  #ttlMs: number;
  /** The TTL that a renewal under way asks for, and the earliest end that it would lead to. */
  #askedTtlMs = Infinity;
  #askedUntilMs = Infinity;
  /** The shortest TTL among renewals of unknown outcome. Such a request may still arrive, after later ones. */
  #doubtfulTtlMs = Infinity;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ValidityOptions) {
    this.#clock = options.clock;
    this.#ranOut = options.ranOut;
    this.#confirmedUntilMs = options.startedAtMs + options.ttlMs;
    this.#ttlMs = options.ttlMs;
    this.#arm();
  }

  /** Cancelled a margin before the end, or by {@link lose}. */
  get over(): Cancellation {
    return this.#over;
  }

  /** Aborts when this is {@link over}. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get expiresAtMs(): number {
    return Math.min(this.#confirmedUntilMs, this.#askedUntilMs);
  }

  /** The TTL that was confirmed last. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** A renewal for `ttlMs` is about to be sent. */
  ask(ttlMs: number): void {
    this.#askedTtlMs = ttlMs;
    this.#askedUntilMs = this.#clock.now() + ttlMs;
    this.#arm();
  }

  /**
   * The server renewed the lock: it is held for `ttlMs` from when the request was sent. Has no effect once the signal
   * has aborted.
   */
  confirm(sentAtMs: number, ttlMs: number): void {
    if (this.#over.cancelled) {
      return;
    }
    this.#ttlMs = ttlMs;
    this.#confirmedUntilMs = sentAtMs + Math.min(ttlMs, this.#doubtfulTtlMs);
    this.dismiss();
  }

  /** It is not known whether the server renewed for `ttlMs`. */
  doubt(ttlMs: number): void {
    this.#doubtfulTtlMs = Math.min(this.#doubtfulTtlMs, ttlMs);
    this.#confirmedUntilMs = this.expiresAtMs;
    this.dismiss();
  }

  /** The server did not renew, and nothing has changed. */
  dismiss(): void {
    this.#askedTtlMs = Infinity;
    this.#askedUntilMs = Infinity;
    this.#arm();
  }

  /** The lock is not held any more. Has no effect after {@link stop}. */
  lose(reason: LockLostError): void {
    if (this.#stopped) {
      return;
    }
    this.#timer?.cancel();
    this.#over.cancel(reason);
  }

  /** Ends the watch over the time. The signal stays as it is. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#stopped || this.#over.cancelled) {
      return;
    }
    const ttlMs = Math.min(this.#ttlMs, this.#askedTtlMs, this.#doubtfulTtlMs);
    this.#timer = callAt(this.#clock, this.expiresAtMs - marginMs(ttlMs), () => {
      this.lose(this.#ranOut());
    });
  }
}

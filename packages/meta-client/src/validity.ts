import { callAt, type Clock, type Timer } from "@metasrv/wire";
import { Cancellation } from "./cancellation.js";
import type { LockLostError } from "./meta-errors.js";

const marginPartOfTtl = 0.05;
const longestMarginMs = 250;

/** How long before its end a validity counts as over: 5 % of the TTL, at most 250 ms. */
export function marginMs(ttlMs: number): number {
  return Math.min(ttlMs * marginPartOfTtl, longestMarginMs);
}

/** When a validity began, and how. */
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
 * It never lies beyond what the server keeps: only confirmed renewals extend it, and a renewal whose outcome is not
 * known can only shorten it, for it may have given the lock a shorter TTL.
 *
 * Renewals come one at a time: {@link ask}, then one of {@link confirm}, {@link doubt} and {@link dismiss}.
 */
export class Validity {
  readonly #clock: Clock;
  readonly #ranOut: () => LockLostError;
  readonly #over = new Cancellation();
  #confirmedUntilMs: number;
  #ttlMs: number;
  /** What a renewal under way asks for, and where it would put the end at the earliest. */
  #askedTtlMs = Infinity;
  #askedUntilMs = Infinity;
  /** The shortest TTL among renewals of unknown outcome: such a request may still arrive, after later ones. */
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

  /** Cancelled a margin before the end, or at {@link lose}. */
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

  /** The TTL last confirmed. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** A renewal for `ttlMs` is about to be sent. */
  ask(ttlMs: number): void {
    this.#askedTtlMs = ttlMs;
    this.#askedUntilMs = this.#clock.now() + ttlMs;
    this.#arm();
  }

  /** The server renewed: the lock is held for `ttlMs` from when the request was sent. Comes too late after the signal. */
  confirm(sentAtMs: number, ttlMs: number): void {
    if (this.#over.cancelled) {
      return;
    }
    this.#ttlMs = ttlMs;
    this.#confirmedUntilMs = sentAtMs + Math.min(ttlMs, this.#doubtfulTtlMs);
    this.dismiss();
  }

  /** Whether the server renewed for `ttlMs` is not known. */
  doubt(ttlMs: number): void {
    this.#doubtfulTtlMs = Math.min(this.#doubtfulTtlMs, ttlMs);
    this.#confirmedUntilMs = this.expiresAtMs;
    this.dismiss();
  }

  /** The server did not renew, and changed nothing. */
  dismiss(): void {
    this.#askedTtlMs = Infinity;
    this.#askedUntilMs = Infinity;
    this.#arm();
  }

  /** The lock is not held any more. Changes nothing after {@link stop}. */
  lose(reason: LockLostError): void {
    if (this.#stopped) {
      return;
    }
    this.#timer?.cancel();
    this.#over.cancel(reason);
  }

  /** Stops watching: the signal stays as it is. */
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

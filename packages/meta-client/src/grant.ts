import {
  type ForcedBy,
  type Grant,
  LockMode,
  type LockResponse,
  type LockState,
  LossReason,
  type PartGrant,
} from "@metasrv/proto/metasrv/v1";
import { callAt, type Clock, type Timer } from "@metasrv/wire";
import { Cancellation } from "./cancellation.js";
import type { SpanPlace } from "./lock-tracer.js";
import { type LockLostError, UnexpectedError } from "./meta-errors.js";
import { inspect } from "./platform.js";

/**
 * What a server tells of a lock that was granted or renewed over a channel: the lock `expired`; somebody else
 * `released` it; or it is `unwatched`, because that server does not serve it on that channel any more. An unwatched
 * lock may still be held. An operator may have taken it by force.
 */
export type LockNews = "expired" | "released" | "unwatched" | { readonly forced: Pick<ForcedBy, "actor" | "reason"> };

/** What the loss of a lock means for its holder. */
export function newsOf(reason: LossReason, forced: ForcedBy | undefined): LockNews {
  switch (reason) {
    case LossReason.FORCED:
      return { forced: { actor: forced?.actor ?? "", reason: forced?.reason ?? "" } };
    case LossReason.EXPIRED:
      return "expired";
    case LossReason.MOVED:
      return "unwatched";
    case LossReason.RELEASED:
    case LossReason.UNSPECIFIED:
      return "released";
  }
}

/** Told what a server says of a lock. */
export interface NewsListener {
  hear(news: LockNews): void;
}

/**
 * A lock that was granted, as channels know it: the key that unlocks and renewals name, and the listener for news. News
 * that come before there is a listener are kept.
 */
export class Holding {
  readonly key: Uint8Array;
  /**
   * The channel part that serves the lock now and tells news of it. Only channels use this and the number beside it.
   */
  servedBy: object | undefined;
  servedAs = 0;
  /** Whether renewals ask for a shared lock, because its holder needs it no more for itself alone. */
  downgraded = false;
  /** What renewals publish, until one of them has. */
  value: Uint8Array | undefined;
  #listener: NewsListener | undefined;
  #unheard: LockNews | undefined;

  /** @param key - the proof of ownership that came with the grant */
  constructor(key: Uint8Array) {
    this.key = key;
  }

  /** Nothing is shown of it: its key is a secret. */
  [inspect.custom](): string {
    return "Holding {}";
  }

  /** The mode that renewals name. */
  get renewedMode(): LockMode {
    return this.downgraded ? LockMode.SHARED : LockMode.UNSPECIFIED;
  }

  /** From now on, the listener is told. */
  listen(listener: NewsListener): void {
    this.#listener = listener;
    if (this.#unheard !== undefined) {
      listener.hear(this.#unheard);
    }
  }

  /** A server has told news of the lock. */
  tell(news: LockNews): void {
    if (this.#listener === undefined) {
      this.#unheard = news;
    } else {
      this.#listener.hear(news);
    }
  }
}

/** A grant as the client counts it. */
export interface Granted {
  readonly holding: Holding;
  readonly token: bigint;
  /** No holder of the lock has a lower token than this. */
  readonly floor: bigint;
  /** The smallest limit among the holders of a semaphore; 0 where the server named none. */
  readonly limit: number;
  /** Of several locks: each one's floor and limit, in the order of the bytes of their names. */
  readonly parts: readonly Pick<PartGrant, "floor" | "limit">[];
  readonly ttlMs: number;
  /**
   * The earliest moment, on the client's clock, at which the grant can have begun. The server had the request for
   * `waited_ms`, and cannot have had it before it was sent. Because the server's clock measured the wait, a little less
   * of it is counted.
   */
  readonly grantedAtMs: number;
  /** The traceparent of the request that gave way to this one, where the server knows it. */
  readonly unblockedBy?: string | undefined;
  /** The span of the request; absent without a tracer. */
  readonly acquiredAt?: SpanPlace | undefined;
}

/** A server's answer to a request for a lock. */
export type LockOutcome =
  | { readonly kind: "granted"; readonly grant: Granted }
  | { readonly kind: "refused"; readonly state: LockState | undefined };

/** A renewal as the client counts it: valid for `ttlMs` from `sentAtMs`. */
export interface Renewed {
  readonly ttlMs: number;
  /** When the request left, on the client's clock; the server cannot have received it earlier. */
  readonly sentAtMs: number;
}

/**
 * Reads the answer to a request for a lock.
 *
 * @param sentAtMs - when the request left, on the client's clock; the server cannot have received it earlier
 */
export function readOutcome({ outcome }: LockResponse, sentAtMs: number): LockOutcome {
  switch (outcome.case) {
    case "granted":
      return { kind: "granted", grant: readGrant(outcome.value, sentAtMs) };
    case "refused":
      return { kind: "refused", state: outcome.value.state };
    case undefined:
      throw new UnexpectedError(
        "The server neither granted nor refused the lock. Check that it is not newer than this client.",
      );
  }
}

/** The part of a wait by which two clocks may differ: each may be slewed by 0.05 % while it is corrected. */
const driftOfWait = 0.001;
/** At most this part of the TTL is taken off, so that a long wait does not use all of it up. */
const mostOfTtl = 0.25;

/** Reads a grant; parameters as in {@link readOutcome}. */
export function readGrant(grant: Grant, sentAtMs: number): Granted {
  const { key, token, ttlMs, waitedMs, floor, limit, parts, unblockedBy } = grant;
  const driftMs = Math.min(waitedMs * driftOfWait, Number(ttlMs) * mostOfTtl);
  const grantedAtMs = sentAtMs + waitedMs - driftMs;
  return { holding: new Holding(key), token, floor, limit, parts, ttlMs: Number(ttlMs), grantedAtMs, unblockedBy };
}

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
  /** How long before its end it is over, if that is longer than {@link marginMs}. Default: 0. */
  readonly endMarginMs?: number | undefined;
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
  readonly #endMarginMs: number;
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
    this.#endMarginMs = options.endMarginMs ?? 0;
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
    this.look();
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

  /** How long it is surely still held, in milliseconds; 0 once it is over. */
  get leftMs(): number {
    this.look();
    return this.#over.cancelled ? 0 : Math.max(0, this.expiresAtMs - this.#clock.now());
  }

  /**
   * Looks at the clock. A process that was stopped goes on with whatever was to run next, which may be the holder's code and
   * not the timer.
   */
  look(): void {
    if (!this.#stopped && !this.#over.cancelled && this.#clock.now() >= this.#endMs) {
      this.lose(this.#ranOut());
    }
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
    this.#timer = callAt(this.#clock, this.#endMs, () => {
      this.lose(this.#ranOut());
    });
  }

  /** When the signal aborts. */
  get #endMs(): number {
    const marginOfTtlMs = marginMs(Math.min(this.#ttlMs, this.#askedTtlMs, this.#doubtfulTtlMs));
    return this.expiresAtMs - Math.max(marginOfTtlMs, this.#endMarginMs);
  }
}

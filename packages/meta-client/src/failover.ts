import { Backoff, type BackoffOptions, type Clock } from "@metasrv/wire";
import { CallScope, type Cancellation, sleep } from "./cancellation.js";
import { refusesCertificate } from "./connection-trouble.js";
import type { EndpointRing } from "./endpoint-ring.js";
import { EndpointFailure, type LockChannel } from "./lock-channel.js";
import { type EndpointTrouble, UnavailableError } from "./meta-errors.js";

/**
 * A call, and how persistent it is.
 *
 * The calls of each lock are classes: V8 may put an object literal that outlived a few collections, and all that it leads to,
 * into the old generation from then on, which costs three times as much. It does so with no object of a class.
 */
export interface Call<T> {
  /**
   * Asks one endpoint, once. An `EndpointFailure` lets the call go on at another endpoint; any other rejection ends the
   * call.
   */
  attempt(channel: LockChannel, scope: Cancellation): Promise<T>;
  /** What the call does, for messages: `release lock "a"`. */
  purpose(): string;
  /** Ends the call, which then rejects with the reason. */
  readonly scope: Cancellation;
  /** How long the next attempt may take; absent or undefined: as long as its server lives. */
  attemptTimeoutMs?(): number | undefined;
  /**
   * When to give up: after this many rounds over all endpoints, or after this time since the first of the failures in a
   * row.
   */
  readonly giveUp: { readonly rounds: number } | { readonly afterMs: number };
  /** Told of each attempt that failed and may be repeated. */
  onFailure?(failure: EndpointFailure): void;
}

export interface FailoverOptions {
  readonly clock: Clock;
  readonly ring: EndpointRing;
  readonly backoff: BackoffOptions;
  /** How long an attempt at a dead server takes at most until it fails. */
  readonly deadPeerMs: number;
}

/** Repeats a call over the endpoints until one of them answers it. */
export class Failover {
  readonly #clock: Clock;
  readonly #ring: EndpointRing;
  readonly #backoff: BackoffOptions;
  readonly #deadPeerMs: number;

  constructor(options: FailoverOptions) {
    this.#clock = options.clock;
    this.#ring = options.ring;
    this.#backoff = options.backoff;
    this.#deadPeerMs = options.deadPeerMs;
  }

  /**
   * Asks one endpoint after the other, with a pause after each round.
   *
   * @throws UnavailableError when it gives up
   */
  call<T>(call: Call<T>): Promise<T> {
    // Usually the first endpoint answers. So what is needed to go on is created only when it does not.
    const first = this.#ring.current;
    const startedAtMs = this.#clock.now();
    return this.#attempt(call, first).catch((error: unknown) => {
      const outage = new Outage();
      const leftMs = this.#failed(call, outage, first, startedAtMs, error);
      return this.#goOn(call, outage, this.#ring.after(first), leftMs);
    });
  }

  /** A channel has failed after a call: others are asked first. */
  leave(channel: LockChannel): void {
    this.#ring.leave(channel);
  }

  async #goOn<T>(call: Call<T>, outage: Outage, round: LockChannel[], leftMs: number): Promise<T> {
    const backoff = new Backoff(this.#backoff);
    for (let rounds = 1; ; rounds++) {
      for (const channel of round) {
        const startedAtMs = this.#clock.now();
        try {
          return await this.#attempt(call, channel);
        } catch (error) {
          leftMs = this.#failed(call, outage, channel, startedAtMs, error);
        }
      }
      if ("rounds" in call.giveUp && rounds >= call.giveUp.rounds) {
        throw unavailable(call, outage);
      }
      await sleep(this.#clock, Math.min(backoff.nextMs(), leftMs), call.scope);
      round = this.#ring.round();
    }
  }

  /**
   * Notes a failed attempt.
   *
   * @returns how long the call may still go on, in milliseconds
   * @throws what ends the call
   */
  #failed(call: Call<unknown>, outage: Outage, channel: LockChannel, startedAtMs: number, error: unknown): number {
    call.scope.throwIfCancelled();
    if (!(error instanceof EndpointFailure)) {
      throw error;
    }
    this.#ring.leave(channel);
    call.onFailure?.(error);
    outage.failures.set(channel.endpoint, error);
    const nowMs = this.#clock.now();
    if (outage.sinceMs === undefined || this.#wasServed(nowMs - startedAtMs, call)) {
      outage.sinceMs = nowMs;
    }
    // The server had the request until then, so failures before it do not count.
    else if (error.heardAtMs !== undefined && error.heardAtMs > startedAtMs) {
      outage.sinceMs = error.heardAtMs;
    }
    if (!("afterMs" in call.giveUp)) {
      return Infinity;
    }
    const leftMs = outage.sinceMs + call.giveUp.afterMs - nowMs;
    // The call goes on until every endpoint had its chance, however long that takes.
    if (leftMs <= 0 && outage.failures.size === this.#ring.size) {
      throw unavailable(call, outage);
    }
    return leftMs;
  }

  #attempt<T>(call: Call<T>, channel: LockChannel): Promise<T> {
    const timeoutMs = call.attemptTimeoutMs?.();
    return timeoutMs === undefined ? call.attempt(channel, call.scope) : this.#bounded(call, channel, timeoutMs);
  }

  async #bounded<T>(call: Call<T>, channel: LockChannel, timeoutMs: number): Promise<T> {
    const scope = new CallScope().follow(call.scope).cancelAt(this.#clock, this.#clock.now() + timeoutMs, () => {
      return new EndpointFailure(channel.endpoint, `no answer within ${Math.round(timeoutMs)} ms`, true);
    });
    try {
      return await call.attempt(channel, scope);
    } finally {
      scope.end();
    }
  }

  // Whether an attempt was a wait that a living server served: it took longer than an attempt at a dead server can
  // take. Failures before such a wait do not count.
  #wasServed(tookMs: number, call: Call<unknown>): boolean {
    const patienceMs = "afterMs" in call.giveUp ? call.giveUp.afterMs : 0;
    return tookMs > patienceMs + this.#deadPeerMs;
  }
}

/** The failures of one call, without an answer in between. */
class Outage {
  readonly failures = new Map<string, EndpointFailure>();
  sinceMs: number | undefined;
}

/** What errors say of endpoints that have failed. */
export function troublesOf(failures: Iterable<EndpointFailure>): EndpointTrouble[] {
  return [...failures].map((failure) => {
    const { endpoint, message } = failure;
    return { endpoint, reason: message, certificateRefused: refusesCertificate(endpoint, failure) };
  });
}

function unavailable(call: Call<unknown>, { failures }: Outage): UnavailableError {
  const endpoints = troublesOf(failures.values());
  const persistence = "afterMs" in call.giveUp ? ` for ${call.giveUp.afterMs} ms` : "";
  const tried = endpoints.map(({ endpoint, reason }) => `${endpoint} (${reason})`).join(", ");
  return new UnavailableError(
    `Could not ${call.purpose()}: no endpoint served it${persistence}; tried ${tried}. ` +
      "Check that metasrv runs at these endpoints and can reach its store.",
    endpoints,
    { cause: [...failures.values()].at(-1) },
  );
}

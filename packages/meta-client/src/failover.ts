import { Backoff, type BackoffOptions } from "./backoff.js";
import { CallScope } from "./call-scope.js";
import { sleep, type Clock } from "./clock.js";
import { EndpointFailure } from "./endpoint-failure.js";
import type { EndpointRing } from "./endpoint-ring.js";
import type { LockChannel } from "./lock-channel.js";
import { UnavailableError } from "./meta-errors.js";

/** How persistent a call is. */
export interface CallPlan {
  /** What the call does, for messages: `release lock "a"`. */
  readonly purpose: string;
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** How long the next attempt may take; absent: as long as its server lives. */
  readonly attemptTimeoutMs?: () => number;
  /** When to give up: after so many rounds over all endpoints, or so long after the first failure in a row. */
  readonly giveUp: { readonly rounds: number } | { readonly afterMs: number };
}

/** What {@link Failover} works with. */
export interface FailoverOptions {
  readonly clock: Clock;
  readonly ring: EndpointRing;
  readonly backoff: BackoffOptions;
  /** How long it takes at most until an attempt at a dead server fails. */
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
   * @param attempt - asks one endpoint, once; what it rejects with other than an `EndpointFailure` ends the call
   * @throws UnavailableError when the plan says to give up
   */
  async call<T>(attempt: (channel: LockChannel, signal: AbortSignal) => Promise<T>, plan: CallPlan): Promise<T> {
    const failures = new Map<string, EndpointFailure>();
    const backoff = new Backoff(this.#backoff);
    let failingSinceMs: number | undefined;
    for (let rounds = 1; ; rounds++) {
      let leftMs = Infinity;
      for (const channel of this.#ring.round()) {
        const startedAtMs = this.#clock.now();
        try {
          return await this.#attempt(attempt, channel, plan);
        } catch (error) {
          plan.signal.throwIfAborted();
          if (!(error instanceof EndpointFailure)) throw error;
          this.#ring.leave(channel);
          failures.set(channel.endpoint, error);
          const nowMs = this.#clock.now();
          if (failingSinceMs === undefined || this.#wasServed(nowMs - startedAtMs, plan)) failingSinceMs = nowMs;
          if ("afterMs" in plan.giveUp) leftMs = failingSinceMs + plan.giveUp.afterMs - nowMs;
          // However long it took: not before every endpoint had its chance.
          if (leftMs <= 0 && failures.size === this.#ring.size) throw unavailable(plan, failures);
        }
      }
      if ("rounds" in plan.giveUp && rounds >= plan.giveUp.rounds) throw unavailable(plan, failures);
      await sleep(this.#clock, Math.min(backoff.nextMs(), leftMs), plan.signal);
    }
  }

  async #attempt<T>(
    attempt: (channel: LockChannel, signal: AbortSignal) => Promise<T>,
    channel: LockChannel,
    plan: CallPlan,
  ): Promise<T> {
    const timeoutMs = plan.attemptTimeoutMs?.();
    if (timeoutMs === undefined) return attempt(channel, plan.signal);
    const scope = new CallScope().follow(plan.signal).cancelAt(this.#clock, this.#clock.now() + timeoutMs, () => {
      return new EndpointFailure(channel.endpoint, `no answer within ${Math.round(timeoutMs)} ms`, true);
    });
    try {
      return await attempt(channel, scope.signal);
    } finally {
      scope.end();
    }
  }

  // An attempt that took longer than any dead server could make it take was a wait that a living one served: what failed
  // before it is another story.
  #wasServed(tookMs: number, plan: CallPlan): boolean {
    const patienceMs = "afterMs" in plan.giveUp ? plan.giveUp.afterMs : 0;
    return tookMs > patienceMs + this.#deadPeerMs;
  }
}

function unavailable(plan: CallPlan, failures: ReadonlyMap<string, EndpointFailure>): UnavailableError {
  const endpoints = [...failures].map(([endpoint, failure]) => ({ endpoint, reason: failure.message }));
  const persistence = "afterMs" in plan.giveUp ? ` for ${plan.giveUp.afterMs} ms` : "";
  const tried = endpoints.map(({ endpoint, reason }) => `${endpoint} (${reason})`).join(", ");
  return new UnavailableError(
    `Could not ${plan.purpose}: no endpoint served it${persistence}; tried ${tried}. ` +
      "Check that metasrv runs at these endpoints and can reach its store.",
    endpoints,
    { cause: [...failures.values()].at(-1) },
  );
}

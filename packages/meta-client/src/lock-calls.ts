import { create } from "@bufbuild/protobuf";
import { RenewRequestSchema, UnlockRequestSchema } from "@metasrv/proto/metasrv/v1";
import { CallScope } from "./call-scope.js";
import { EndpointFailure } from "./endpoint-failure.js";
import type { Granted, LockOutcome } from "./grant.js";
import { ClosedError, LockLostError } from "./meta-errors.js";
import { requestLock, waitTimeout, type LockAsk, type CallParts } from "./request-lock.js";

/** A held lock, as calls about it need it. */
export interface HeldKey {
  readonly key: Uint8Array;
  /** The lock as messages call it. */
  readonly described: string;
}

/** A renewal as the client counts it: valid for `ttlMs` from `sentAtMs`. */
export interface Renewed {
  readonly ttlMs: number;
  readonly sentAtMs: number;
}

/** The service's calls, each repeated over the endpoints until its outcome is known, or as long as there is a point. */
export class LockCalls {
  readonly #parts: CallParts;
  readonly #asks = new Set<CallScope>();
  readonly #unlocks = new Map<CallScope, Promise<boolean>>();
  #closed = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  /**
   * Waits for a lock, without any bound but the caller's.
   *
   * @throws WaitTimeoutError when `waitMs` has passed, whatever the network does meanwhile
   */
  async acquire(ask: LockAsk): Promise<Granted> {
    const outcome = await this.#ask(ask);
    if (outcome.kind === "granted") return outcome.grant;
    throw waitTimeout(ask, outcome.state);
  }

  /** Takes a lock if it is free; null when it is taken. */
  async tryAcquire(ask: Omit<LockAsk, "waitMs">): Promise<Granted | null> {
    const outcome = await this.#ask({ ...ask, waitMs: 0 });
    return outcome.kind === "granted" ? outcome.grant : null;
  }

  /**
   * Asks every endpoint once at most, and stops when the signal aborts.
   *
   * @param leftMs - how long the lock is surely still held: an attempt may take a third of it, to leave time for others
   * @throws LockLostError when it is not held any more; UnavailableError when it is not known
   */
  async renew(held: HeldKey, ttlMs: number, leftMs: () => number, signal: AbortSignal): Promise<Renewed> {
    const scope = this.#openAsk(signal);
    const request = create(RenewRequestSchema, { key: held.key, ttlMs: BigInt(ttlMs) });
    try {
      const answer = await this.#parts.failover.call(
        (channel, attemptSignal) => channel.renew(request, attemptSignal),
        {
          purpose: `renew ${held.described}`,
          signal: scope.signal,
          attemptTimeoutMs: () => Math.min(this.#parts.timing.attemptTimeoutMs, Math.max(leftMs() / 3, 1)),
          giveUp: { rounds: 1 },
        },
      );
      return { ttlMs: Number(answer.message.ttlMs), sentAtMs: answer.sentAtMs };
    } finally {
      this.#endAsk(scope);
    }
  }

  /**
   * Releases a lock.
   *
   * @returns whether this call released it; false when it was not held any more
   * @throws UnavailableError when the outcome is still not known after `patienceMs`
   */
  unlock(held: HeldKey, patienceMs = this.#parts.unavailableAfterMs): Promise<boolean> {
    const scope = new CallScope();
    const settled = (): void => {
      this.#unlocks.delete(scope);
    };
    const released = this.#unlock(held, patienceMs, scope.signal);
    this.#unlocks.set(scope, released);
    released.then(settled, settled);
    return released;
  }

  /** Rejects what waits for a lock or a renewal, and whatever is asked for from now on; unlocks go on. */
  stopAsking(): void {
    this.#closed = true;
    for (const scope of this.#asks) scope.cancel(new ClosedError());
  }

  /** Resolves once no unlock is under way. */
  async unlocked(): Promise<void> {
    await Promise.allSettled(this.#unlocks.values());
  }

  /** Rejects the unlocks that are still under way. */
  stopUnlocking(): void {
    for (const scope of this.#unlocks.keys()) scope.cancel(new ClosedError());
  }

  async #ask(ask: LockAsk): Promise<LockOutcome> {
    const scope = this.#openAsk(ask.signal);
    try {
      const outcome = await requestLock(ask, scope, this.#parts);
      if (outcome.kind === "granted") this.#checkWanted(ask, outcome.grant, scope.signal);
      return outcome;
    } finally {
      this.#endAsk(scope);
    }
  }

  // Nobody may get a lock that was not wanted any more when it came, nor one that was over by then.
  #checkWanted(ask: LockAsk, grant: Granted, signal: AbortSignal): void {
    const over = grant.grantedAtMs + grant.ttlMs <= this.#parts.clock.now();
    if (!over && !signal.aborted) return;
    // Not waited for: it ends with its TTL in any case.
    this.unlock({ key: grant.key, described: ask.described }).catch(() => undefined);
    signal.throwIfAborted();
    throw new LockLostError(
      `The grant of ${ask.described} was over when its answer arrived: it lasts ${grant.ttlMs} ms. ` +
        "Ask for a ttlMs well above the time that an answer takes.",
    );
  }

  async #unlock(held: HeldKey, patienceMs: number, signal: AbortSignal): Promise<boolean> {
    const request = create(UnlockRequestSchema, { key: held.key });
    let maybeReleased = false;
    try {
      await this.#parts.failover.call(
        async (channel, attemptSignal) => {
          try {
            await channel.unlock(request, attemptSignal);
          } catch (error) {
            if (error instanceof EndpointFailure && error.maybeApplied) maybeReleased = true;
            throw error;
          }
        },
        {
          purpose: `release ${held.described}`,
          signal,
          attemptTimeoutMs: () => Math.min(this.#parts.timing.attemptTimeoutMs, patienceMs),
          giveUp: { afterMs: patienceMs },
        },
      );
      return true;
    } catch (error) {
      // After an attempt without an answer, "not held" most likely means that it was this call which released it.
      if (error instanceof LockLostError) return maybeReleased;
      throw error;
    }
  }

  #openAsk(signal: AbortSignal | undefined): CallScope {
    signal?.throwIfAborted();
    if (this.#closed) throw new ClosedError();
    const scope = new CallScope().follow(signal);
    this.#asks.add(scope);
    return scope;
  }

  #endAsk(scope: CallScope): void {
    scope.end();
    this.#asks.delete(scope);
  }
}

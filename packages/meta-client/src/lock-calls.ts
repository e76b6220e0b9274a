import { CallScope, type Cancellation } from "./cancellation.js";
import type { Granted, Holding, LockOutcome, Renewed } from "./grant.js";
import type { LockChannel } from "./lock-channel.js";
import type { GetLock, ListLocks, LockInfo, LockPage } from "./lock-info.js";
import { describeLock } from "./lock-name.js";
import type { Member } from "./member.js";
import { ClosedError, LockLostError } from "./meta-errors.js";
import { type CallParts, type LockAsk, requestLock, waitTimeout } from "./request-lock.js";
import { Roster } from "./roster.js";

/** A held lock, as calls about it need it. */
export interface HeldKey {
  readonly holding: Holding;
  /** The lock as messages call it. */
  readonly described: string;
}

/** What a renewal depends on, and whom it tells besides returning its outcome. */
export interface Renewal {
  readonly ttlMs: number;
  /** How long the lock is surely still held. One attempt may take a third of it, so that there is time for others. */
  readonly leftMs: () => number;
  /** Cancelled when the renewal is not needed any more. */
  readonly over: Cancellation;
  /** Called when an attempt had no answer. It may have taken effect, or may still do so. */
  readonly onUnanswered: () => void;
}

// A server that has many locks puts their names in order first, beside all else.
const listTimeoutMs = 60_000;

/**
 * The calls of the service. Each is repeated over the endpoints until its outcome is known, or until it is not needed
 * any more.
 */
export class LockCalls {
  readonly #parts: CallParts;
  readonly #asks = new Roster<CallScope>();
  readonly #unlocks = new Roster<CallScope>();
  #onUnlocked: (() => void)[] = [];
  #closed = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  /**
   * Waits for a lock. Only the caller bounds the wait.
   *
   * @throws WaitTimeoutError when `waitMs` has passed, whatever the network does meanwhile
   */
  async acquire(ask: LockAsk): Promise<Granted> {
    const outcome = await this.#ask(ask);
    if (outcome.kind === "granted") {
      return outcome.grant;
    }
    throw waitTimeout(ask, outcome.state);
  }

  /** Takes a lock if it is free; null when it is taken. */
  async tryAcquire(ask: Omit<LockAsk, "waitMs">): Promise<Granted | null> {
    const outcome = await this.#ask({ ...ask, waitMs: 0 });
    return outcome.kind === "granted" ? outcome.grant : null;
  }

  /**
   * Gives a held lock a full TTL again. Asks every endpoint at most once.
   *
   * @throws LockLostError when the lock is not held any more; UnavailableError when that is not known
   */
  async renew(held: HeldKey, { ttlMs, leftMs, over, onUnanswered }: Renewal): Promise<Renewed> {
    const scope = this.#openAsk().follow(over);
    try {
      return await this.#parts.failover.call({
        attempt: (channel, attemptScope) => channel.renew(held.holding, ttlMs, attemptScope),
        purpose: () => `renew ${held.described}`,
        scope,
        attemptTimeoutMs: () => Math.min(this.#parts.timing.attemptTimeoutMs, Math.max(leftMs() / 3, 1)),
        giveUp: { rounds: 1 },
        onFailure: ({ maybeApplied }) => {
          if (maybeApplied) {
            onUnanswered();
          }
        },
      });
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
  async unlock(held: HeldKey, patienceMs = this.#parts.unavailableAfterMs): Promise<boolean> {
    const scope = new CallScope();
    this.#unlocks.add(scope);
    let maybeReleased = false;
    try {
      await this.#parts.failover.call({
        attempt: (channel, attemptScope) => channel.unlock(held.holding, attemptScope),
        purpose: () => `release ${held.described}`,
        scope,
        attemptTimeoutMs: () => Math.min(this.#parts.timing.attemptTimeoutMs, patienceMs),
        giveUp: { afterMs: patienceMs },
        onFailure: (failure) => (maybeReleased ||= failure.maybeApplied),
      });
      return true;
    } catch (error) {
      // After an attempt without an answer, "not held" most likely means that this attempt released the lock.
      if (error instanceof LockLostError) {
        return maybeReleased;
      }
      throw error;
    } finally {
      this.#unlocks.delete(scope);
      if (this.#unlocks.size === 0) {
        for (const resolve of this.#onUnlocked.splice(0)) {
          resolve();
        }
      }
    }
  }

  /** @throws UnavailableError when no server can tell for `unavailableAfterMs` */
  members(): Promise<readonly Member[]> {
    return this.#look("list the members", (channel, scope) => channel.members(scope));
  }

  /** @throws as {@link members} */
  getLock(request: GetLock): Promise<LockInfo> {
    return this.#look("show a lock", (channel, scope) => channel.getLock(request, scope));
  }

  /** @throws as {@link members} */
  listLocks(request: ListLocks): Promise<LockPage> {
    return this.#look("list the locks", (channel, scope) => channel.listLocks(request, scope), listTimeoutMs);
  }

  /** Rejects the calls that wait for a lock or a renewal, and all later calls. Unlocks go on. */
  stopAsking(): void {
    this.#closed = true;
    for (const scope of this.#asks.all()) {
      scope.cancel(new ClosedError());
    }
  }

  /** Resolves once no unlock is under way. */
  unlocked(): Promise<void> {
    if (this.#unlocks.size === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#onUnlocked.push(resolve));
  }

  /** Rejects the unlocks that are still under way. */
  stopUnlocking(): void {
    for (const scope of this.#unlocks.all()) {
      scope.cancel(new ClosedError());
    }
  }

  /** Asks a question that changes nothing. */
  async #look<T>(
    purpose: string,
    ask: (channel: LockChannel, scope: Cancellation) => Promise<T>,
    attemptTimeoutMs = this.#parts.timing.attemptTimeoutMs,
  ): Promise<T> {
    const scope = this.#openAsk();
    try {
      return await this.#parts.failover.call({
        attempt: ask,
        purpose: () => purpose,
        scope,
        attemptTimeoutMs: () => attemptTimeoutMs,
        giveUp: { afterMs: this.#parts.unavailableAfterMs },
      });
    } finally {
      this.#endAsk(scope);
    }
  }

  async #ask(ask: LockAsk): Promise<LockOutcome> {
    ask.signal?.throwIfAborted();
    const scope = this.#openAsk().followSignal(ask.signal);
    try {
      const outcome = await requestLock(ask, scope, this.#parts);
      if (outcome.kind === "granted") {
        this.#checkWanted(ask, outcome.grant, scope);
      }
      return outcome;
    } finally {
      this.#endAsk(scope);
    }
  }

  // A grant that came when the lock was not wanted any more, or whose time is over, must not reach the caller.
  #checkWanted(ask: LockAsk, { holding, grantedAtMs, ttlMs }: Granted, scope: CallScope): void {
    const over = grantedAtMs + ttlMs <= this.#parts.clock.now();
    if (!over && !scope.cancelled) {
      return;
    }
    const described = describeLock(ask.lock.value);
    // Nobody waits for this unlock: the lock ends with its TTL in any case.
    this.unlock({ holding, described }).catch(() => undefined);
    scope.throwIfCancelled();
    throw new LockLostError(
      `The grant of ${described} was over when its answer arrived: it lasts ${ttlMs} ms. ` +
        "Ask for a ttlMs well above the time that an answer takes.",
    );
  }

  #openAsk(): CallScope {
    if (this.#closed) {
      throw new ClosedError();
    }
    const scope = new CallScope();
    this.#asks.add(scope);
    return scope;
  }

  #endAsk(scope: CallScope): void {
    scope.end();
    this.#asks.delete(scope);
  }
}

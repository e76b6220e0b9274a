import { Roster } from "@metasrv/wire";
import { AcquireCall, type AcquireParts, described, type LockAsk, waitTimeout } from "./acquire-call.js";
import { CallScope, type Cancellation } from "./cancellation.js";
import type { Call, Failover } from "./failover.js";
import { type Granted, type Holding, type LockOutcome, marginMs, type Renewed } from "./grant.js";
import { EndpointFailure, type Inspecting, type LockChannel } from "./lock-channel.js";
import type { LockTraces } from "./lock-traces.js";
import type { Member } from "./member.js";
import { ClosedError, LockLostError } from "./meta-errors.js";
import type { Timing } from "./timing.js";

/** What the calls use. */
export interface CallParts extends AcquireParts {
  readonly failover: Failover;
  /** Called with each call. */
  readonly onCall: () => void;
  /** Absent: there are no spans. */
  readonly traces?: LockTraces | undefined;
}

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
    this.#parts.onCall();
    const call = new UnlockCall(held, this.#parts.timing, patienceMs);
    this.#unlocks.add(call.scope);
    try {
      await this.#parts.failover.call(call);
      return true;
    } catch (error) {
      // After an attempt without an answer, "not held" most likely means that this attempt released the lock.
      if (error instanceof LockLostError) {
        return call.maybeReleased;
      }
      throw error;
    } finally {
      this.#unlocks.delete(call.scope);
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

  /**
   * Looks at locks, or does what operators do.
   *
   * @param purpose - what for, for messages
   * @throws as {@link members}, and as the server answers
   */
  inspect<T>(purpose: string, ask: Inspecting<Promise<T>>): Promise<T> {
    return this.#look(purpose, (channel, scope) => channel.inspect(ask, scope), listTimeoutMs);
  }

  /**
   * Follows what servers tell, at one endpoint or another: a stream that breaks begins again elsewhere.
   *
   * @param begin - told before each beginning
   * @throws as {@link members}; the reason of the signal once that aborts
   */
  async *follow<T>(
    purpose: string,
    open: Inspecting<AsyncIterable<T>>,
    signal: AbortSignal | undefined,
    begin: () => void = () => undefined,
  ): AsyncGenerator<T, void, undefined> {
    signal?.throwIfAborted();
    const scope = this.#openAsk().followSignal(signal);
    const ended = new CallScope().follow(scope);
    let messages: AsyncGenerator<T, void, undefined> | undefined;
    try {
      for (;;) {
        const { channel, first, rest } = await this.#parts.failover.call({
          attempt: async (at) => {
            begin();
            messages = at.follow(open, ended);
            return { channel: at, first: await messages.next(), rest: messages };
          },
          purpose: () => purpose,
          scope,
          giveUp: { afterMs: this.#parts.unavailableAfterMs },
        });
        try {
          for (let next = first; next.done !== true; next = await rest.next()) {
            yield next.value;
          }
        } catch (error) {
          scope.throwIfCancelled();
          if (!(error instanceof EndpointFailure)) {
            throw error;
          }
          this.#parts.failover.leave(channel);
        }
      }
    } finally {
      ended.cancel(new ClosedError());
      ended.end();
      await messages?.return().catch(() => undefined);
      this.#endAsk(scope);
    }
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

  #ask(ask: LockAsk): Promise<LockOutcome> {
    const { traces } = this.#parts;
    return traces === undefined ? this.#askUntraced(ask) : traces.acquire(ask, (traced) => this.#askUntraced(traced));
  }

  async #askUntraced(ask: LockAsk): Promise<LockOutcome> {
    ask.signal?.throwIfAborted();
    const scope = this.#openAsk().followSignal(ask.signal);
    try {
      const outcome = await this.#parts.failover.call(new AcquireCall(this.#parts, ask, scope));
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
    const over = grantedAtMs + ttlMs - marginMs(ttlMs) <= this.#parts.clock.now();
    if (!over && !scope.cancelled) {
      return;
    }
    // Nobody waits for this unlock: the lock ends with its TTL in any case.
    this.unlock({ holding, described: described(ask) }).catch(() => undefined);
    scope.throwIfCancelled();
    throw new LockLostError(
      `The grant of ${described(ask)} was over when its answer arrived: it lasts ${ttlMs} ms. ` +
        "Ask for a ttlMs well above the time that an answer takes.",
    );
  }

  #openAsk(): CallScope {
    if (this.#closed) {
      throw new ClosedError();
    }
    this.#parts.onCall();
    const scope = new CallScope();
    this.#asks.add(scope);
    return scope;
  }

  #endAsk(scope: CallScope): void {
    scope.end();
    this.#asks.delete(scope);
  }
}

/** Releases a lock. */
class UnlockCall implements Call<void> {
  readonly scope = new CallScope();
  readonly giveUp: { readonly afterMs: number };
  /** Whether an attempt without an answer may have released it. */
  maybeReleased = false;
  readonly #held: HeldKey;
  readonly #timing: Timing;

  constructor(held: HeldKey, timing: Timing, patienceMs: number) {
    this.#held = held;
    this.#timing = timing;
    this.giveUp = { afterMs: patienceMs };
  }

  attempt(channel: LockChannel, scope: Cancellation): Promise<void> {
    return channel.unlock(this.#held.holding, scope);
  }

  purpose(): string {
    return `release ${this.#held.described}`;
  }

  attemptTimeoutMs(): number {
    return Math.min(this.#timing.attemptTimeoutMs, this.giveUp.afterMs);
  }

  onFailure({ maybeApplied }: EndpointFailure): void {
    this.maybeReleased ||= maybeApplied;
  }
}

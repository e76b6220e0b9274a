import type { HeldLock as HeldLockMessage, LockPart, LockRequest, LockState } from "@metasrv/proto/metasrv/v1";
import { type Clock, Roster } from "@metasrv/wire";
import { CallScope, type Cancellation } from "./cancellation.js";
import { type Call, type Failover, troublesOf } from "./failover.js";
import { type Granted, type Holding, type LockOutcome, marginMs, type Renewed } from "./grant.js";
import { type AskedLock, exclusive } from "./lock-arguments.js";
import { EndpointFailure, type Inspecting, type LockChannel } from "./lock-channel.js";
import { describeLocks } from "./lock-name.js";
import type { LockTraces, TracedAsk } from "./lock-traces.js";
import type { Member } from "./member.js";
import { ClosedError, LockLostError, WaitTimeoutError } from "./meta-errors.js";
import type { Timing } from "./timing.js";

/** What is asked of a lock. */
export interface LockAsk extends TracedAsk {
  /** One, or several that are asked for at once. */
  readonly locks: readonly AskedLock[];
  /** Absent: the server's default. */
  readonly ttlMs: number | undefined;
  /** 0: only if the lock is free; absent: until it is granted. */
  readonly waitMs: number | undefined;
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What others read while the lock is held. */
  readonly value: Uint8Array;
  /** What the caller holds while it waits. */
  readonly within: readonly HeldLockMessage[];
  readonly signal: AbortSignal | undefined;
}

/** What the calls use. */
export interface CallParts {
  readonly clock: Clock;
  /** As in `ClientParts`. */
  readonly newTicketId: () => Uint8Array;
  readonly failover: Failover;
  readonly timing: Timing;
  readonly unavailableAfterMs: number;
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

// One round over all endpoints, and one more because an idle connection may turn out to be dead when it is used again.
const tryLockRounds = 2;

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
      const outcome = await this.#request(ask, scope);
      if (outcome.kind === "granted") {
        this.#checkWanted(ask, outcome.grant, scope);
      }
      return outcome;
    } finally {
      this.#endAsk(scope);
    }
  }

  /**
   * Asks for a lock until a server grants or refuses it. Only a request with `waitMs: 0` is refused.
   *
   * @param scope - ends the request when it is cancelled; gets a guard that cancels it once `waitMs` has surely passed
   * @throws WaitTimeoutError when `waitMs` has passed, whatever the network does meanwhile
   */
  #request(ask: LockAsk, scope: CallScope): Promise<LockOutcome> {
    const { clock, failover, timing, unavailableAfterMs } = this.#parts;
    const startedAtMs = clock.now();
    // All attempts have the same id, so that a repeated request is the same ticket and never queues behind itself.
    const ticketId = this.#parts.newTicketId();
    let attempts = 0;
    // By endpoint, the latest last.
    let failures: Map<string, EndpointFailure> | undefined;
    const asked = askedOf(ask);
    if (ask.waitMs) {
      scope.cancelAt(clock, startedAtMs + ask.waitMs + timing.waitSlackMs, () =>
        noAnswerInTime(ask, [...(failures?.values() ?? [])]),
      );
    }
    const call: Call<LockOutcome> = {
      attempt: (channel, attemptScope) => {
        const request: LockRequest = {
          $typeName: "metasrv.v1.LockRequest",
          ...asked,
          ticketId,
          ttlMs: BigInt(ask.ttlMs ?? 0),
          owner: ask.owner,
          attempt: attempts++,
          labels: ask.labels,
          within: ask.within as HeldLockMessage[],
          value: ask.value,
        };
        if (ask.traceparent !== undefined) {
          request.traceparent = ask.traceparent;
        }
        // The rest of the wait. Within the slack it is 0, which still finds out whether an earlier attempt was granted.
        if (ask.waitMs !== undefined) {
          request.waitMs = BigInt(Math.max(0, Math.ceil(startedAtMs + ask.waitMs - clock.now())));
        }
        return channel.lock(request, attemptScope);
      },
      purpose: () => `acquire ${described(ask)}`,
      scope,
      onFailure: (failure) => {
        failures ??= new Map();
        failures.delete(failure.endpoint);
        failures.set(failure.endpoint, failure);
      },
      giveUp: ask.waitMs === 0 ? { rounds: tryLockRounds } : { afterMs: unavailableAfterMs },
    };
    return failover.call(ask.waitMs === 0 ? { ...call, attemptTimeoutMs: () => timing.attemptTimeoutMs } : call);
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

/** The error of a wait that is over, with what a server said of the lock. */
function waitTimeout(ask: LockAsk, state: LockState | undefined): WaitTimeoutError {
  const why = describeState(state);
  return new WaitTimeoutError(`${tooLong(ask)}: ${why}. Wait longer, or try again later.`, state);
}

function describeState(state: LockState | undefined): string {
  if (state === undefined) {
    return "it is taken";
  }
  const { holderOwner, holderToken, holders, holderCount, waiters, lock } = state;
  if (holderToken === 0n) {
    return `nobody holds it, but ${waiters} wait for it`;
  }
  const holder = holderOwner === "" ? "an unnamed owner" : JSON.stringify(holderOwner);
  const since = holders[0] === undefined ? "" : `, for ${holders[0].heldMs / 1000n} s`;
  const others = holderCount > 1 ? ` and ${holderCount - 1} more` : "";
  const which = lock.case === undefined ? "it" : describeLocks([lock.value]);
  return `${which} is held by ${holder} (token ${holderToken}${since})${others}, and ${waiters} wait for it`;
}

function noAnswerInTime(ask: LockAsk, failures: readonly EndpointFailure[]): WaitTimeoutError {
  const last = failures.at(-1);
  const trouble = last === undefined ? "" : `; last, ${last.endpoint} failed: ${last.message}`;
  return new WaitTimeoutError(
    `${tooLong(ask)}, and no server has answered by then${trouble}. Check that metasrv can be reached.`,
    {},
    { unanswered: troublesOf(failures), ...(last === undefined ? {} : { cause: last }) },
  );
}

function tooLong(ask: LockAsk): string {
  return `Could not acquire ${described(ask)} within ${ask.waitMs ?? 0} ms`;
}

function described({ locks }: LockAsk): string {
  return describeLocks(locks.map(({ name }) => name));
}

/** What a request asks for: one lock, or several as its parts. */
function askedOf({ locks }: LockAsk): Pick<LockRequest, "lock" | "mode" | "permits" | "limit" | "parts"> {
  const [first, ...others] = locks;
  if (first !== undefined && others.length === 0) {
    return { lock: first.lock, ...first.share, parts: none };
  }
  const parts = locks.map(({ lock, share }): LockPart => ({ $typeName: "metasrv.v1.LockPart", lock, ...share }));
  return { lock: { case: undefined }, ...exclusive, parts };
}

const none: LockPart[] = [];

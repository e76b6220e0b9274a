import type { HeldLock as HeldLockMessage, LockPart, LockRequest, LockState } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { CallScope, Cancellation } from "./cancellation.js";
import { type Call, troublesOf } from "./failover.js";
import type { LockOutcome } from "./grant.js";
import { type AskedLock, exclusive } from "./lock-arguments.js";
import type { EndpointFailure, LockChannel } from "./lock-channel.js";
import { describeLocks } from "./lock-name.js";
import type { TracedAsk } from "./lock-traces.js";
import { WaitTimeoutError } from "./meta-errors.js";
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

// One round over all endpoints, and one more because an idle connection may turn out to be dead when it is used again.
const tryLockRounds = 2;

/** What an {@link AcquireCall} uses. */
export interface AcquireParts {
  readonly clock: Clock;
  /** As in `ClientParts`. */
  readonly newTicketId: () => Uint8Array;
  readonly timing: Timing;
  readonly unavailableAfterMs: number;
}

/** Asks for a lock until a server grants or refuses it. Only a request with `waitMs: 0` is refused. */
export class AcquireCall implements Call<LockOutcome> {
  readonly scope: CallScope;
  readonly giveUp: Call<LockOutcome>["giveUp"];
  readonly #parts: AcquireParts;
  readonly #ask: LockAsk;
  readonly #startedAtMs: number;
  /** All attempts have the same one, so that a repeated request is the same ticket and never queues behind itself. */
  readonly #ticketId: Uint8Array;
  #attempts = 0;
  /** By endpoint, the latest last. */
  #failures: Map<string, EndpointFailure> | undefined;

  /**
   * @param scope - ends the request when it is cancelled. Here it is cancelled with a WaitTimeoutError once `waitMs` has surely
   *   passed, whatever the network does meanwhile
   */
  constructor(parts: AcquireParts, ask: LockAsk, scope: CallScope) {
    const { clock, timing, unavailableAfterMs } = parts;
    this.#parts = parts;
    this.#ask = ask;
    this.scope = scope;
    this.giveUp = ask.waitMs === 0 ? { rounds: tryLockRounds } : { afterMs: unavailableAfterMs };
    this.#startedAtMs = clock.now();
    this.#ticketId = parts.newTicketId();
    if (ask.waitMs) {
      scope.cancelAt(clock, this.#startedAtMs + ask.waitMs + timing.waitSlackMs, () =>
        noAnswerInTime(ask, [...(this.#failures?.values() ?? [])]),
      );
    }
  }

  attempt(channel: LockChannel, scope: Cancellation): Promise<LockOutcome> {
    const ask = this.#ask;
    const [first] = ask.locks;
    const only = ask.locks.length === 1 ? first : undefined;
    const { mode, permits, limit } = only?.share ?? exclusive;
    const request: LockRequest = {
      $typeName: "metasrv.v1.LockRequest",
      lock: only?.lock ?? { case: undefined },
      mode,
      permits,
      limit,
      parts: only === undefined ? partsOf(ask.locks) : none,
      ticketId: this.#ticketId,
      ttlMs: BigInt(ask.ttlMs ?? 0),
      owner: ask.owner,
      attempt: this.#attempts++,
      labels: ask.labels,
      within: ask.within as HeldLockMessage[],
      value: ask.value,
    };
    if (ask.traceparent !== undefined) {
      request.traceparent = ask.traceparent;
    }
    // The rest of the wait. Within the slack it is 0, which still finds out whether an earlier attempt was granted.
    if (ask.waitMs !== undefined) {
      request.waitMs = BigInt(Math.max(0, Math.ceil(this.#startedAtMs + ask.waitMs - this.#parts.clock.now())));
    }
    return channel.lock(request, scope);
  }

  purpose(): string {
    return `acquire ${described(this.#ask)}`;
  }

  attemptTimeoutMs(): number | undefined {
    return this.#ask.waitMs === 0 ? this.#parts.timing.attemptTimeoutMs : undefined;
  }

  onFailure(failure: EndpointFailure): void {
    this.#failures ??= new Map();
    this.#failures.delete(failure.endpoint);
    this.#failures.set(failure.endpoint, failure);
  }
}

/** The error of a wait that is over, with what a server said of the lock. */
export function waitTimeout(ask: LockAsk, state: LockState | undefined): WaitTimeoutError {
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

/** The locks that are asked for, as messages call them. */
export function described({ locks }: LockAsk): string {
  return describeLocks(locks.map(({ name }) => name));
}

/** What a request asks for, if it is not one lock. */
function partsOf(locks: readonly AskedLock[]): LockPart[] {
  return locks.map(({ lock, share }) => ({ $typeName: "metasrv.v1.LockPart", lock, ...share }));
}

const none: LockPart[] = [];

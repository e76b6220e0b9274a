import type { LockRequest, LockState } from "@metasrv/proto/metasrv/v1";
import { type Clock, newTicketId } from "@metasrv/wire";
import type { CallScope } from "./cancellation.js";
import type { Call, Failover } from "./failover.js";
import type { LockOutcome } from "./grant.js";
import type { EndpointFailure } from "./lock-channel.js";
import { describeLock, type WireName } from "./lock-name.js";
import { WaitTimeoutError } from "./meta-errors.js";
import type { Share } from "./share.js";
import type { Timing } from "./timing.js";

/** What is asked of a lock. */
export interface LockAsk {
  readonly lock: WireName;
  /** Absent: the server's default. */
  readonly ttlMs: number | undefined;
  /** 0: only if the lock is free; absent: until it is granted. */
  readonly waitMs: number | undefined;
  readonly owner: string;
  readonly share: Share;
  readonly signal: AbortSignal | undefined;
}

/** What the calls use. */
export interface CallParts {
  readonly clock: Clock;
  readonly failover: Failover;
  readonly timing: Timing;
  readonly unavailableAfterMs: number;
}

// One round over all endpoints, and one more because an idle connection may turn out to be dead when it is used again.
const tryLockRounds = 2;

/**
 * Asks for a lock until a server grants or refuses it. Only a request with `waitMs: 0` is refused.
 *
 * @param scope - ends the request when it is cancelled; gets a guard that cancels it once `waitMs` has surely passed
 * @throws WaitTimeoutError when `waitMs` has passed, whatever the network does meanwhile
 */
export function requestLock(ask: LockAsk, scope: CallScope, parts: CallParts): Promise<LockOutcome> {
  const { clock, failover, timing } = parts;
  const startedAtMs = clock.now();
  // All attempts have the same id, so that a repeated request is the same ticket and never queues behind itself.
  const ticketId = newTicketId();
  let attempts = 0;
  let trouble: EndpointFailure | undefined;
  if (ask.waitMs) {
    scope.cancelAt(clock, startedAtMs + ask.waitMs + timing.waitSlackMs, () => noAnswerInTime(ask, trouble));
  }
  const call: Call<LockOutcome> = {
    attempt: (channel, attemptScope) => {
      const request: LockRequest = {
        $typeName: "metasrv.v1.LockRequest",
        lock: ask.lock,
        ticketId,
        ...ask.share,
        ttlMs: BigInt(ask.ttlMs ?? 0),
        owner: ask.owner,
        attempt: attempts++,
      };
      // The rest of the wait. Within the slack it is 0, which still finds out whether an earlier attempt was granted.
      if (ask.waitMs !== undefined) {
        request.waitMs = BigInt(Math.max(0, Math.ceil(startedAtMs + ask.waitMs - clock.now())));
      }
      return channel.lock(request, attemptScope);
    },
    purpose: () => `acquire ${describeLock(ask.lock.value)}`,
    scope,
    onFailure: (failure) => (trouble = failure),
    giveUp: ask.waitMs === 0 ? { rounds: tryLockRounds } : { afterMs: parts.unavailableAfterMs },
  };
  return failover.call(ask.waitMs === 0 ? { ...call, attemptTimeoutMs: () => timing.attemptTimeoutMs } : call);
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
  const { holderOwner, holderToken, holders, holderCount, waiters } = state;
  if (holderToken === 0n) {
    return `nobody holds it, but ${waiters} wait for it`;
  }
  const holder = holderOwner === "" ? "an unnamed owner" : JSON.stringify(holderOwner);
  const since = holders[0] === undefined ? "" : `, for ${holders[0].heldMs / 1000n} s`;
  const others = holderCount > 1 ? ` and ${holderCount - 1} more` : "";
  return `it is held by ${holder} (token ${holderToken}${since})${others}, and ${waiters} wait for it`;
}

function noAnswerInTime(ask: LockAsk, trouble: EndpointFailure | undefined): WaitTimeoutError {
  const last = trouble === undefined ? "" : `; last, ${trouble.endpoint} failed: ${trouble.message}`;
  const options = trouble === undefined ? undefined : { cause: trouble };
  return new WaitTimeoutError(
    `${tooLong(ask)}, and no server has answered by then${last}. Check that metasrv can be reached.`,
    {},
    options,
  );
}

function tooLong(ask: LockAsk): string {
  return `Could not acquire ${describeLock(ask.lock.value)} within ${ask.waitMs ?? 0} ms`;
}

import type { ForceCommand } from "./command.js";
import { type LockName, showLockName } from "./ticket-ref.js";

/** One of those that hold a lock. */
export interface Holder {
  /** Empty when it gave none. */
  readonly owner: string;
  readonly token: bigint;
  readonly permits: number;
  /** For how long this node has seen it hold, in milliseconds. */
  readonly heldMs: number;
  /** It waits for other locks that it asked for at once, and this one is kept for it. */
  readonly reserves: boolean;
}

/** Who stands in the way of a lock. */
export interface LockState {
  /** Where several locks were asked for: the one that this is about. */
  readonly name?: LockName;
  /** Owner text of the first holder; empty when it gave none. */
  readonly holderOwner: string;
  /** Fencing token of the first holder; 0 when nobody holds. */
  readonly holderToken: bigint;
  /** Tickets that wait. */
  readonly waiters: number;
  /** The first of those that hold, `holdersShown` at most. */
  readonly holders: readonly Holder[];
  readonly holderCount: number;
  /** What all holders take together. */
  readonly permitsHeld: number;
  /** The smallest limit among the holders; 0 when nobody holds. */
  readonly limit: number;
  /**
   * At which place a ticket waits, 1 for the next that is to hold. 0 for one that does not wait, and for one with more than
   * `placesCounted` before it.
   */
  readonly position: number;
}

/** Who took a lock from its holder, and why. */
export type ForcedBy = Pick<ForceCommand, "actor" | "reason">;

/** How many holders a {@link LockState} shows. */
export const holdersShown = 8;

/** How far places in a queue are counted. */
export const placesCounted = 1_000;

/** Names what went wrong; the wire's `Reason` has the same list. */
export type LockErrorReason =
  | "invalid-name"
  | "invalid-ticket-id"
  | "invalid-ttl"
  | "invalid-wait"
  | "invalid-owner"
  | "invalid-key"
  | "invalid-mode"
  | "invalid-permits"
  | "cluster-too-old"
  | "invalid-page"
  | "invalid-parts"
  | "invalid-labels"
  | "invalid-value"
  | "invalid-within"
  | "invalid-force"
  | "forced"
  | "wait-timed-out"
  | "not-held"
  | "too-many-waiters"
  | "too-many-tickets"
  | "store-unavailable"
  | "store-full"
  | "shutting-down"
  | "not-a-member"
  | "superseded"
  | "canceled"
  | "invalid-command"
  | "too-many-commands"
  | "not-reading"
  | "not-attached"
  | "out-of-order"
  | "too-many-attached"
  | "too-many-streams"
  | "unauthenticated"
  | "permission-denied"
  | "quota-exceeded";

/**
 * What can go wrong with a lock, on every implementation. The message says what was wrong, what was expected and what
 * to do, and may be shown to the caller.
 */
export class LockError extends Error {
  override readonly name = "LockError";
  readonly reason: LockErrorReason;
  /** With `wait-timed-out`: who stood in the way. */
  readonly state: LockState | undefined;
  /** With `forced`: who did it, and why. */
  readonly forced: ForcedBy | undefined;
  /** With `quota-exceeded`: after how long to ask again, in milliseconds; undefined when that would not help. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: LockErrorReason,
    message: string,
    options?: { state?: LockState; forced?: ForcedBy; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.state = options?.state;
    this.forced = options?.forced;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Returns an error that a requester may be told. Throws any other error, because it is a fault in the program. */
export function asLockError(error: unknown): LockError {
  if (error instanceof LockError) {
    return error;
  }
  throw error;
}

/** The key does not hold its lock any more. */
export function notHeld(): LockError {
  return new LockError(
    "not-held",
    "the key does not hold its lock: it was released before, or its TTL has passed; ask for the lock again",
  );
}

/** An operator named a ticket that is not there. */
export function noSuchTicket(): LockError {
  return new LockError(
    "not-held",
    "the lock has no holder and no waiter with this fencing token, so nothing was changed: look at the lock again; whoever " +
      "has it now has another token",
  );
}

/** A later request for the same ticket took this one's place. */
export function superseded(): LockError {
  return new LockError(
    "superseded",
    "the same ticket id was asked for again, and that request is the one that is answered; use a new ticket id for a " +
      "new request",
  );
}

/** Something other than the request itself removed the ticket of a wait. */
export function removedByOthers(): LockError {
  return new LockError("canceled", "the request was removed from the store by someone else; ask again if it is needed");
}

/** An operator removed the ticket: its requester waits no longer, or has lost the lock. */
export function removedByForce({ actor, reason }: ForcedBy): LockError {
  const who = actor === "" ? "someone who gave no name" : JSON.stringify(actor);
  return new LockError("forced", `the lock was released by force by ${who}: ${JSON.stringify(reason)}`, {
    forced: { actor, reason },
  });
}

/** The lock was not granted in the time that its requester gave it. */
export function waitTimedOut(waitMs: number, state: LockState): LockError {
  return new LockError(
    "wait-timed-out",
    `the lock was not granted within ${waitMs} ms: ${whyNot(state)}; wait longer, or look at what the holder does`,
    { state },
  );
}

/** The same for a requester that may not see who stood in the way. */
export function waitTimedOutUnseen(waitMs: number): LockError {
  return new LockError(
    "wait-timed-out",
    `the lock was not granted within ${waitMs} ms, because others have it; who they are is shown to those with the right ` +
      '"inspect"; wait longer',
  );
}

function whyNot({ name, holders: [first], holderCount, waiters, position }: LockState): string {
  if (first === undefined) {
    return "the store has not answered yet";
  }
  const owner = first.owner === "" ? "someone who gave no owner text" : JSON.stringify(first.owner);
  const since = `for at least ${Math.floor(first.heldMs / 1000)} s`;
  const reserved = first.reserves ? ", which it reserves while it waits for other locks" : "";
  const others = holderCount === 1 ? "" : ` and ${holderCount - 1} more`;
  const before = position === 0 ? "" : `, ${position - 1} of them before it`;
  const lock = name === undefined ? "it" : JSON.stringify(showLockName(name));
  return (
    `${lock} is held by ${owner} (fencing token ${first.token}, ${since}${reserved})${others}, and ${waiters} wait for it, this request ` +
    `included${before}`
  );
}

/** A held lock cannot be made a shared one. */
export function notDowngradable(): LockError {
  return new LockError(
    "invalid-mode",
    "the lock is held as a part of a semaphore, or together with others, and cannot be shared otherwise; release it, and ask " +
      "for a shared lock",
  );
}

/** A server of an older version would not understand the request. */
export function clusterTooOld(): LockError {
  return new LockError(
    "cluster-too-old",
    "a server of an older version is in the cluster, and it knows exclusive locks only, one at a time; upgrade all servers, " +
      "then ask again",
  );
}

/** This node is being stopped. */
export function shuttingDown(): LockError {
  return new LockError("shutting-down", "this node is shutting down, try another node");
}

/** This node's membership has ended, or has not begun. */
export function notAMember(): LockError {
  return new LockError(
    "not-a-member",
    "this node cannot reach the store and may not grant locks now; try another node, or try again in a few seconds",
  );
}

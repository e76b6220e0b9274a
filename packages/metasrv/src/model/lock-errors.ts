/** Who stands in the way of a lock. */
export interface LockState {
  /** Owner text of the holder; empty when it gave none. */
  readonly holderOwner: string;
  /** Fencing token of the holder; 0 when nobody holds. */
  readonly holderToken: bigint;
  /** Tickets that wait. */
  readonly waiters: number;
}

/** Names what went wrong; the wire's `Reason` has the same list. */
export type LockErrorReason =
  | "invalid-name"
  | "invalid-ticket-id"
  | "invalid-ttl"
  | "invalid-wait"
  | "invalid-owner"
  | "invalid-key"
  | "invalid-mode"
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
  | "not-reading";

/**
 * What can go wrong with a lock, on every implementation. The message says what was wrong, what was expected and what
 * to do, and may be shown to the caller.
 */
export class LockError extends Error {
  override readonly name = "LockError";
  readonly reason: LockErrorReason;
  /** With `wait-timed-out`: who stood in the way. */
  readonly state: LockState | undefined;

  constructor(reason: LockErrorReason, message: string, options?: { state?: LockState; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.state = options?.state;
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

/** The lock was not granted in the time that its requester gave it. */
export function waitTimedOut(waitMs: number, state: LockState): LockError {
  const owner = state.holderOwner === "" ? "someone who gave no owner text" : JSON.stringify(state.holderOwner);
  const why =
    state.holderToken === 0n
      ? "the store has not answered yet"
      : `it is held by ${owner} (fencing token ${state.holderToken}), and ${state.waiters} wait for it, this request included`;
  return new LockError(
    "wait-timed-out",
    `the lock was not granted within ${waitMs} ms: ${why}; wait longer, or look at what the holder does`,
    { state },
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

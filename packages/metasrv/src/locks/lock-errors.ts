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

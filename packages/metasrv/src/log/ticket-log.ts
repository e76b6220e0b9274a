/** A lock's name as the log knows it: escaped to readable ASCII without a separator. Made by `escapeLockName`. */
export type LockName = string & { readonly __brand: "LockName" };

/** A ticket's id: 32 lower-case hexadecimal digits. */
export type TicketId = string & { readonly __brand: "TicketId" };

/** The rule by which tickets share a lock. Others than `exclusive` plug in at `lock-mode.ts`. */
export type LockMode = "exclusive";

/** One request for a lock. */
export interface Ticket {
  readonly mode: LockMode;
  /** How long a grant lasts unless renewed, in milliseconds. */
  readonly ttlMs: number;
  /** By what people recognise the requester. */
  readonly owner: string;
  /** The member that serves the requester: it alone tells of the grant and runs the clock. */
  readonly memberId: string;
  /** Whether the requester knows the ticket id, and so can ask for the same ticket at another member. */
  readonly resumable: boolean;
  /** How often the requester had asked for it before; a request with a lower number is outdated. */
  readonly attempt: number;
}

/** A ticket as the log holds it. */
export interface StoredTicket {
  readonly name: LockName;
  readonly id: TicketId;
  readonly ticket: Ticket;
  /** Revision of its creation: its place in the queue, and its fencing token. */
  readonly createRevision: bigint;
  /** Revision of its last change. */
  readonly modRevision: bigint;
}

/** One running node. */
export interface Member {
  /** Where it can be reached, as host:port. */
  readonly address: string;
  readonly version: string;
  /** For people to read; no rule uses it. */
  readonly startedUnixMs: number;
}

/** A member as the log holds it. The one with the lowest `createRevision` leads. */
export interface StoredMember {
  readonly id: string;
  readonly member: Member;
  readonly createRevision: bigint;
}

/** A small conditional op on one ticket. */
export type TicketOp =
  /** Adds a ticket unless it is there already; with `onlyIfFree`, unless the lock has any ticket at all. */
  | {
      readonly kind: "create";
      readonly name: LockName;
      readonly id: TicketId;
      readonly ticket: Ticket;
      readonly onlyIfFree: boolean;
      /** Others wait for the lock already, so that it makes no difference whether it is committed at once or in a moment. */
      readonly willWait?: boolean;
      /** Asked until it is sent; once it says no, nothing is sent, and the op is answered as not done. */
      readonly wanted?: () => boolean;
    }
  /** Replaces a ticket if `modRevision` is still the one of its last change. */
  | {
      readonly kind: "update";
      readonly name: LockName;
      readonly id: TicketId;
      readonly ticket: Ticket;
      /** The ticket's, which stays as it is. */
      readonly createRevision: bigint;
      readonly modRevision: bigint;
    }
  /** Removes a ticket if the revision given is still the ticket's. */
  | {
      readonly kind: "delete";
      readonly name: LockName;
      readonly id: TicketId;
      readonly condition: { readonly createRevision: bigint } | { readonly modRevision: bigint };
      /** Others wait for the lock: it is not to wait for company. */
      readonly awaited?: boolean;
    }

  /** Changes nothing: is never done, and answers how the ticket stands, whatever the table shows yet. */
  | { readonly kind: "read"; readonly name: LockName; readonly id: TicketId };

/** What became of an op. */
export type OpResult =
  /** Committed at `revision`. */
  | { readonly done: true; readonly revision: bigint }
  /** Nothing was changed, because its condition did not hold; `existing` is the ticket as it stands. */
  | { readonly done: false; readonly existing: StoredTicket | undefined };

/** A committed change. */
export type LogEvent =
  | ({ readonly kind: "ticket-put" } & StoredTicket)
  | { readonly kind: "ticket-deleted"; readonly name: LockName; readonly id: TicketId }
  | ({ readonly kind: "member-put" } & StoredMember)
  | { readonly kind: "member-deleted"; readonly id: string };

/** All that the log holds at one revision. */
export interface LogListing {
  readonly revision: bigint;
  readonly tickets: readonly StoredTicket[];
  readonly members: readonly StoredMember[];
}

/** Receives the log, in order. Its methods must not throw. */
export interface LogListener {
  /** Everything there is. Comes first, and again whenever continuity was lost. */
  reset(listing: LogListing): void;
  /** Changes since the last call, whole revisions only, oldest first. */
  apply(events: readonly LogEvent[]): void;
}

/** Learns of this process's own membership. Its methods must not throw. */
export interface MembershipListener {
  /** This process is the member `memberId` from now on. */
  joined(memberId: string): void;
  /** The membership surely lasts until `aliveUntilMs` on the log's clock. */
  extended(aliveUntilMs: number): void;
  /** The membership has ended or can no longer be relied on; the log tries to join again, under a new id. */
  lost(): void;
}

/**
 * An ordered, replicated log of ticket changes: the seam between the lock rules and storage.
 *
 * Every node folds the same log into the same table. Ops are committed in the order of the calls for one ticket, and
 * creations for one name likewise; two tickets of one name never get the same `createRevision`.
 */
export interface TicketLog {
  /**
   * Starts delivery; resolves once the first listing was delivered.
   *
   * @throws LockError `store-unavailable` when the store could not be reached in the configured time
   */
  open(listener: LogListener): Promise<void>;
  /**
   * Commits one op. Ops that are asked for together are committed together. An outcome that was lost on the way is
   * settled by the log before it answers.
   *
   * @throws LockError `store-unavailable` when the outcome could not be learnt in the configured time (the op may still
   *   take effect), `store-full` when the store refuses writes and nothing was changed, `not-a-member` when the op writes
   *   a ticket whose member is gone: nothing was changed, nor ever will be by this op
   */
  append(op: TicketOp): Promise<OpResult>;
  /**
   * Why what was delivered may be far behind what was committed, for people to read; undefined while it is surely not.
   */
  lag(): string | undefined;
  /** Makes this process a member and keeps it one until {@link leave}; resolves once it has joined for the first time. */
  join(member: Member, listener: MembershipListener): Promise<void>;
  /** Ends this process's membership at once. Harmless when there is none. */
  leave(): Promise<void>;
  /** Ends delivery and frees everything. Ops not committed yet are rejected. */
  close(): Promise<void>;
}

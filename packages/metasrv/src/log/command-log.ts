import type { Command, LoggedEntry, Outcome, StateHash } from "../model/command.js";
import type { LockError } from "../model/lock-errors.js";
import type { Member, StoredMember } from "../model/member.js";
import type { SnapshotPart } from "../model/snapshot.js";
import type { TicketRef } from "../model/ticket-ref.js";

/** Where a log begins, and what all its tickets share. */
export interface LogBase {
  /** The highest level of what the log may contain. */
  readonly level: number;
  readonly revision: bigint;
  /** Added to a revision before it becomes part of a token. */
  readonly revisionOffset: bigint;
}

/** What a log is folded into: deterministic, so that every node has the same. What it throws ends the process. */
export interface LogFold {
  /** An empty one that begins there. */
  fresh(base: LogBase): LogFold;
  /**
   * Takes the place of this one's content, and tells followers what that means for them.
   *
   * @param ofAnotherStore - whether the log is another one than before, in which tokens may be lower than those seen
   */
  become(fresh: LogFold, ofAnotherStore?: boolean): void;
  /**
   * Takes in the next entry.
   *
   * @param live - whether it was written just now, so that what its writer has seen can be checked
   * @returns the outcomes of its commands; undefined if it was taken in before
   */
  apply(entry: LoggedEntry, live: boolean): readonly Outcome[] | undefined;
  /** What became of an entry that is taken in already; undefined if it is not, or its writer knows. */
  outcomes(memberId: string, sequence: number): readonly Outcome[] | undefined;
  /** Tells followers what has changed since the last call. */
  tell(): void;
  /** A member is gone, and writes nothing any more. */
  forgetMember(memberId: string): void;
  /** All members but these are gone. */
  keepMembers(memberIds: ReadonlySet<string>): void;
  /** Takes in a part of a snapshot, before any entry. */
  load(part: SnapshotPart): void;
  /** That was all of the snapshot; it is what had this hash. */
  loaded(hash: StateHash): void;
  /** A snapshot of what is folded now, to be taken part by part while entries go on coming. */
  snapshot(): FoldSnapshot;
  /** Where a log would begin that has what is folded now for its past. */
  readonly base: LogBase;
  /** The hash of what is folded now. */
  readonly hash: StateHash;
  /** All tokens so far are lower. */
  readonly nextToken: bigint;
  /** All entries of a member up to this sequence are folded. */
  foldedUpTo(memberId: string): number;
}

/** What was folded at one moment. */
export interface FoldSnapshot {
  /** Whether the fold has not been replaced since, so that the snapshot can be finished. */
  readonly isValid: boolean;
  readonly base: LogBase;
  readonly hash: StateHash;
  /** At most `tickets` tickets more; undefined once that was all. They change with the table: use them at once. */
  next(tickets: number): SnapshotPart | undefined;
  /** It is not needed any more. */
  end(): void;
}

/** Told what becomes of one command. Its methods must not throw. */
export interface CommandWaiter {
  /** As the fold decided at the command's place in the log. */
  settled(outcome: Outcome): void;
  /** The command has not taken effect, and never will. */
  failed(error: LockError): void;
  /**
   * The time that a command is given has passed, and its outcome is not known yet. Told once; `settled` or `failed`
   * follows, if the process lives.
   */
  overdue(error: LockError): void;
}

/**
 * How soon a command should be on its way: `now` where others wait for what it changes, `soon` with what is asked for in
 * the same turn of the event loop, `later` where it makes no difference, because others are before it.
 */
export type Urgency = "now" | "soon" | "later";

/** What people may want to watch of a log. What is not known is absent. */
export interface LogFigures {
  /** How long ago everything that was committed by then had surely been folded, in milliseconds. */
  readonly behindMs?: number | undefined;
  /** How many entries of this process are being written. */
  readonly entriesUnderWay?: number | undefined;
  /** Size of the entries that no snapshot covers, and of the snapshot that counts, in bytes. */
  readonly logBytes?: number | undefined;
  readonly snapshotBytes?: number | undefined;
  /** Size of the store's database when it was looked at last, and how large it may be, in bytes. */
  readonly databaseBytes?: number | undefined;
  readonly quotaBytes?: number | undefined;
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

/** Told what concerns a node besides the outcomes of its commands. Its methods must not throw. */
export interface LogListener {
  /** All members that there are, oldest first: the first one leads. */
  members(members: readonly StoredMember[]): void;
  /**
   * Commands of this process that it took for failed have had an effect on these tickets after all: the store had refused
   * them and been given them once more. Absent: on any, as the log was read anew.
   */
  strays(tickets: readonly TicketRef[] | undefined): void;
}

/**
 * An ordered, replicated log of commands: the seam between the lock rules and storage.
 *
 * Every node folds the same log into the same table. Commands that are asked for together are written together, as one
 * entry; a command that depends on what becomes of another is asked for after it.
 */
export interface CommandLog {
  /**
   * Starts to fold; resolves once everything that was committed before is folded.
   *
   * @throws LockError `store-unavailable` when the store could not be reached in the configured time; FatalError when
   *   what is in the store cannot be read
   */
  open(fold: LogFold, listener: LogListener): Promise<void>;
  /** Writes a command, and tells the waiter what became of it. */
  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void;
  /**
   * Resolves once everything is folded that was committed before the call. All that ask meanwhile share a look at the
   * store.
   *
   * @throws LockError `store-unavailable` when that could not be learnt in the configured time
   */
  catchUp(): Promise<void>;
  /**
   * Why what is folded may be far behind what was committed, for people to read; undefined while it is surely not.
   */
  lag(): string | undefined;
  /** What there is to know of the log, for people to watch; absent: nothing. */
  figures?(): LogFigures;
  /** Makes this process a member and keeps it one until {@link leave}; resolves once it has joined for the first time. */
  join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void>;
  /** Ends this process's membership at once. Harmless when there is none. */
  leave(): Promise<void>;
  /** Ends everything and frees it. Commands whose outcome is not known yet fail. */
  close(): Promise<void>;
}

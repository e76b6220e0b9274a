import type { Command, Entry, Outcome } from "../../model/command.js";
import type { LockError } from "../../model/lock-errors.js";
import type { CommandWaiter } from "../command-log.js";
import { encodeEntry } from "../entry-codec.js";

/** A command that was asked for, until its outcome is known. */
export class PendingCommand {
  readonly command: Command;
  readonly waiter: CommandWaiter;
  /** Until when its outcome should be known, on the log's clock. */
  readonly deadlineMs: number;
  /** Whether the waiter was told that it takes too long. */
  overdue = false;
  #settled = false;

  constructor(command: Command, waiter: CommandWaiter, deadlineMs: number) {
    this.command = command;
    this.waiter = waiter;
    this.deadlineMs = deadlineMs;
  }

  settle(outcome: Outcome): void {
    if (!this.#settled) {
      this.#settled = true;
      this.waiter.settled(outcome);
    }
  }

  fail(error: LockError): void {
    if (!this.#settled) {
      this.#settled = true;
      this.waiter.failed(error);
    }
  }

  /** The waiter is told, once, that the outcome is not known in time. */
  late(error: LockError): void {
    if (!this.#settled && !this.overdue) {
      this.overdue = true;
      this.waiter.overdue(error);
    }
  }
}

/** An entry that was, or is to be, written, until the outcomes of its commands are known. */
export class EntryUnderWay {
  readonly memberId: string;
  readonly sequence: number;
  readonly pending: readonly PendingCommand[];
  readonly key: Buffer;
  #entry: Entry;
  #value: Buffer;
  /** Whether an attempt at writing it may have taken effect, or may still. */
  uncertain = false;
  /** Whether nothing more is to be done about it. */
  over = false;

  constructor(
    where: { readonly memberId: string; readonly sequence: number; readonly key: Buffer },
    entry: Entry,
    pending: readonly PendingCommand[],
  ) {
    this.memberId = where.memberId;
    this.sequence = where.sequence;
    this.key = where.key;
    this.#entry = entry;
    this.#value = encodeEntry(entry);
    this.pending = pending;
  }

  get entry(): Entry {
    return this.#entry;
  }

  get value(): Buffer {
    return this.#value;
  }

  /** From now on it does not show its writer's table: the store may be another one than that table was read of. */
  forgetSeen(): void {
    if (this.#entry.seen !== undefined) {
      this.#entry = { ...this.#entry, seen: undefined };
      this.#value = encodeEntry(this.#entry);
    }
  }
}

/** What this process writes as one member: numbers its entries, and knows which of them are under way. */
export class LogWriter {
  readonly memberId: string;
  /** The revision at which its member key was put. */
  readonly joinedAtRevision: bigint;
  /** In the order of their sequences; a handful. */
  readonly underWay: EntryUnderWay[] = [];
  #sequence = 0;
  /** All up to this sequence are over. */
  #settled = 0;
  /** Those beyond it that are over. */
  readonly #over = new Set<number>();

  constructor(memberId: string, joinedAtRevision: bigint) {
    this.memberId = memberId;
    this.joinedAtRevision = joinedAtRevision;
  }

  /** Every entry up to this sequence is over, and is never written again. */
  get settled(): number {
    return this.#settled;
  }

  /** The sequence of the next entry. */
  next(): number {
    return ++this.#sequence;
  }

  /** Nothing more is to be done about an entry. */
  end(entry: EntryUnderWay): void {
    entry.over = true;
    const index = this.underWay.indexOf(entry);
    if (index >= 0) {
      this.underWay.splice(index, 1);
    }
    this.#over.add(entry.sequence);
    while (this.#over.delete(this.#settled + 1)) {
      this.#settled++;
    }
  }
}

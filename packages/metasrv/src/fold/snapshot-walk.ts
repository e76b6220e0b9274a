import type { FoldSnapshot, LogBase } from "../log/command-log.js";
import type { ForcedRecord, StateHash } from "../model/command.js";
import type { SnapshotPart, SnapshotTicket, WriterProgress } from "../model/snapshot.js";
import type { Ticket } from "./queue.js";

/** What a walk begins with. */
export interface SnapshotWalkOptions {
  readonly base: LogBase;
  readonly hash: StateHash;
  readonly writers: readonly WriterProgress[];
  readonly forced: Iterable<ForcedRecord>;
  readonly tickets: Iterator<Ticket>;
  /** The lowest token that no ticket has yet: what comes later is not part of the snapshot. */
  readonly firstLater: bigint;
  /** Tells this walk from those before it. */
  readonly number: number;
  readonly ended: () => void;
}

/**
 * A snapshot of a table that goes on changing: a ticket that changes or goes before the walk has come to it is noted
 * as it was.
 */
export class SnapshotWalk implements FoldSnapshot {
  readonly base: LogBase;
  readonly hash: StateHash;
  isValid = true;
  readonly #options: SnapshotWalkOptions;
  #writers: readonly WriterProgress[];
  readonly #forced: ForcedRecord[];
  /** Tickets as they were before they changed. */
  readonly #before: SnapshotTicket[] = [];
  #walked = false;

  constructor(options: SnapshotWalkOptions) {
    this.#options = options;
    this.base = options.base;
    this.hash = options.hash;
    this.#writers = options.writers;
    this.#forced = [...options.forced];
  }

  /** The ticket is about to change or go. */
  changing(ticket: Ticket): void {
    if (this.#take(ticket)) {
      const { name, id, token, content, memberId, attempt } = ticket;
      this.#before.push({ name, id, token, content, memberId, attempt });
    }
  }

  next(count: number): SnapshotPart | undefined {
    const tickets = this.#before.splice(0, count);
    const writers = this.#writers;
    this.#writers = [];
    const forced = this.#forced.splice(0, count - tickets.length);
    while (!this.#walked && tickets.length + forced.length < count) {
      const { value, done } = this.#options.tickets.next() as IteratorResult<Ticket, undefined>;
      if (done === true) {
        this.#walked = true;
      } else if (this.#take(value)) {
        tickets.push(value);
      }
    }
    if (tickets.length === 0 && writers.length === 0 && forced.length === 0) {
      this.end();
      return undefined;
    }
    return { tickets, writers, forced };
  }

  end(): void {
    this.#options.ended();
  }

  #take(ticket: Ticket): boolean {
    const { number, firstLater } = this.#options;
    if (ticket.inSnapshot === number || ticket.token >= firstLater) {
      return false;
    }
    ticket.inSnapshot = number;
    return true;
  }
}

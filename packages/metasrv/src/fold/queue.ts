import sorted from "sorted-btree";
import type { ForcedRecord } from "../model/command.js";
import type { Share, TicketContent } from "../model/ticket-content.js";
import type { LockName, TicketId, TicketRef } from "../model/ticket-ref.js";
import type { NamedLock } from "./name-order.js";

/** Who on this node is told what becomes of a ticket. Must not change the table from within. */
export interface TicketFollower {
  /**
   * The ticket holds its lock from now on, until it is removed.
   *
   * @param by - who followed the ticket that gave way to it
   */
  granted(by?: TicketFollower): void;
  /** The ticket is gone from the table. @param forced - if it was removed by hand */
  removed(forced: ForcedRecord | undefined): void;
  /** Another member serves the ticket from now on. */
  moved(): void;
  /** The table was read anew, and this is the same ticket in it. */
  replaced(ticket: Ticket): void;
}

/** Counts the locks of a group and their waiters, as their queues tell it. */
export interface QueueTally {
  /** How many locks there are. */
  locks: number;
  /** A ticket came, and waits. */
  waits(ticket: Ticket): void;
  /** A ticket does not wait any more. */
  waitsNoMore(ticket: Ticket): void;
}

/** The tickets of several locks that were asked for at once. Each stands in its lock's queue, at the same place of the log. */
export interface TicketGroup {
  /** In the order of their names. The first is the one that the table finds, and that is followed. */
  readonly parts: readonly Ticket[];
  /** How many of them their queues do not admit. */
  waitsFor: number;
}

/** A ticket in its lock's queue. Read-only to everyone but the table, except for its follower. */
export class Ticket implements TicketRef {
  readonly name: LockName;
  readonly id: TicketId;
  /** Fencing token: its place in the log, and in the queue. */
  readonly token: bigint;
  content: TicketContent;
  /** The member that serves the requester: it alone tells of the grant and runs the clock. */
  memberId: string;
  /** How often its requester had asked for it before. */
  attempt: number;
  /** Whether its queue admits it. */
  admitted = false;
  group: TicketGroup | undefined = undefined;
  /** When this node saw it come and when it saw it hold, in milliseconds of {@link Fold.nowMs}: for people to read. */
  seenAtMs = 0;
  heldAtMs = 0;
  /** Whether it is in its table still. A table that was read anew has tickets of its own. */
  present = true;
  /** The number of the last snapshot that has it. */
  inSnapshot = 0;
  previous: Ticket | undefined = undefined;
  next: Ticket | undefined = undefined;
  /** Its neighbours among the waiters of its queue's tally, if it has one: who came before it, and who after it. */
  waitsAfter: Ticket | undefined = undefined;
  waitsBefore: Ticket | undefined = undefined;
  follower: TicketFollower | undefined = undefined;

  constructor(ref: TicketRef, token: bigint, content: TicketContent, memberId: string, attempt: number) {
    this.name = ref.name;
    this.id = ref.id;
    this.token = token;
    this.content = content;
    this.memberId = memberId;
    this.attempt = attempt;
  }

  /** Whether it holds its lock, and all others of its group; otherwise it waits. */
  get holds(): boolean {
    return this.group === undefined ? this.admitted : this.group.waitsFor === 0;
  }

  /** It, or the first of its group. */
  get main(): Ticket {
    return this.group?.parts[0] ?? this;
  }

  /** It, or all of its group. */
  get parts(): readonly Ticket[] {
    return this.group?.parts ?? [this];
  }
}

const nobody: readonly Ticket[] = [];

/** How many have a limit. In the order of limits, since the next smallest must be found when the smallest goes. */
type Counts = InstanceType<typeof sorted.default<number, number>>;

/**
 * The tickets of one lock, in the order of their places, and which of them are admitted: the rule of all kinds of locks.
 *
 * From the first ticket on, permits are added up, and the smallest limit so far is kept. The first ticket at which the sum
 * exceeds that limit is not admitted, nor are those after it. So nobody is overtaken, the strictest limit counts, the first
 * ticket is always admitted, and no ticket that comes, goes or leaves more to others makes one wait that was admitted.
 *
 * A ticket that is admitted holds, but for one of several locks that were asked for at once: it reserves its lock until the
 * others are admitted, too.
 */
export class Queue implements NamedLock {
  readonly name: LockName;
  head: Ticket | undefined = undefined;
  tail: Ticket | undefined = undefined;
  /** The first ticket that is not admitted. */
  waiting: Ticket | undefined = undefined;
  size = 0;
  /** How many are admitted. */
  holders = 0;
  /** What they take together. */
  permits = 0;
  /** The smallest limit among them. */
  limit = Infinity;
  /** Counts its waiters; absent when nobody wants to know. */
  tally: QueueTally | undefined = undefined;
  orderMark: object | undefined = undefined;
  /** How many of them have which limit; absent while all have the same. */
  #limits: Counts | undefined = undefined;

  constructor(name: LockName) {
    this.name = name;
  }

  /** Whether a ticket that came now would be admitted at once. */
  admits(share: Share): boolean {
    return this.waiting === undefined && this.hasRoom(share);
  }

  /** Whether there is room beside those that are admitted. */
  protected hasRoom({ permits, limit }: Share): boolean {
    return this.permits + permits <= Math.min(this.limit, limit);
  }

  /** Adds a ticket at the end. */
  append(ticket: Ticket): void {
    ticket.previous = this.tail;
    ticket.next = undefined;
    if (this.tail === undefined) {
      this.head = ticket;
    } else {
      this.tail.next = ticket;
    }
    this.tail = ticket;
    this.size++;
    if (this.admits(ticket.content)) {
      this.#hold(ticket);
    } else {
      ticket.admitted = false;
      this.waiting ??= ticket;
      this.tally?.waits(ticket);
    }
  }

  /** @returns those that waited for the ticket and are admitted from now on */
  remove(ticket: Ticket): readonly Ticket[] {
    const { previous, next } = ticket;
    if (previous === undefined) {
      this.head = next;
    } else {
      previous.next = next;
    }
    if (next === undefined) {
      this.tail = previous;
    } else {
      next.previous = previous;
    }
    // What is gone must not keep others in memory.
    ticket.previous = undefined;
    ticket.next = undefined;
    this.size--;
    if (ticket.admitted) {
      this.#leave(ticket.content);
    } else {
      this.tally?.waitsNoMore(ticket);
      if (ticket === this.waiting) {
        this.waiting = next;
      }
    }
    return this.#settle();
  }

  /** See `LockTable.reshare`. */
  reshare(ticket: Ticket, change: () => void): readonly Ticket[] {
    this.#leave(ticket.content);
    change();
    this.#hold(ticket);
    return this.#settle();
  }

  /** Puts tickets that came in any order into the order of their places. */
  sort(): void {
    const tickets: Ticket[] = [];
    for (let ticket = this.head; ticket !== undefined; ticket = ticket.next) {
      tickets.push(ticket);
    }
    tickets.sort((a, b) => (a.token < b.token ? -1 : 1));
    this.head = undefined;
    this.tail = undefined;
    this.waiting = undefined;
    this.size = 0;
    this.holders = 0;
    this.permits = 0;
    this.limit = Infinity;
    this.#limits = undefined;
    for (const ticket of tickets) {
      this.append(ticket);
    }
  }

  /** Admits those that there is room for now. */
  #settle(): readonly Ticket[] {
    const first = this.waiting;
    if (first === undefined || !this.hasRoom(first.content)) {
      return nobody;
    }
    const granted: Ticket[] = [];
    let ticket: Ticket | undefined = first;
    while (ticket !== undefined && this.hasRoom(ticket.content)) {
      this.#hold(ticket);
      this.tally?.waitsNoMore(ticket);
      granted.push(ticket);
      ticket = ticket.next;
    }
    this.waiting = ticket;
    return granted;
  }

  #hold(ticket: Ticket): void {
    const { permits, limit } = ticket.content;
    ticket.admitted = true;
    if (this.#limits !== undefined) {
      this.#limits.set(limit, (this.#limits.get(limit) ?? 0) + 1);
    } else if (this.holders > 0 && limit !== this.limit) {
      this.#limits = new sorted.default([
        [this.limit, this.holders],
        [limit, 1],
      ]);
    }
    this.limit = Math.min(this.limit, limit);
    this.permits += permits;
    this.holders++;
  }

  #leave({ permits, limit }: Share): void {
    this.permits -= permits;
    this.holders--;
    if (this.#limits === undefined) {
      this.limit = this.holders === 0 ? Infinity : this.limit;
      return;
    }
    const left = (this.#limits.get(limit) ?? 1) - 1;
    if (left > 0) {
      this.#limits.set(limit, left);
      return;
    }
    this.#limits.delete(limit);
    if (limit === this.limit) {
      this.limit = this.#limits.minKey() ?? Infinity;
    }
    if (this.#limits.size === 1) {
      this.#limits = undefined;
    }
  }
}

import type { TicketRef } from "../model/command.js";
import type { LockState } from "../model/lock-errors.js";
import type { LockName } from "../model/lock-name.js";
import { ShardedMap } from "./sharded-map.js";
import type { Ticket } from "./ticket.js";
import { TicketMap } from "./ticket-map.js";

/** The tickets of one lock, linked in the order of their places. */
class Queue {
  readonly name: LockName;
  head: Ticket | undefined = undefined;
  tail: Ticket | undefined = undefined;
  size = 0;
  /** How many of the first tickets hold. */
  holders = 0;

  constructor(name: LockName) {
    this.name = name;
  }
}

/**
 * Who holds which lock, and who waits. No I/O, no clock, no randomness.
 *
 * The tickets of a lock queue by token, and the first ones hold, as many as the lock's rule admits: one. Whoever comes
 * later waits, so nobody is overtaken.
 */
export class LockTable {
  readonly #tickets = new TicketMap<Ticket>();
  readonly #queues = new ShardedMap<LockName, Queue>(hashOf);

  /** Number of tickets. */
  get size(): number {
    return this.#tickets.size;
  }

  get(ticket: TicketRef): Ticket | undefined {
    return this.#tickets.get(ticket);
  }

  /** Whether a ticket that came now would hold at once. */
  isFree(name: LockName): boolean {
    return !this.#queues.has(name);
  }

  /** Number of tickets that wait for a lock. */
  waiters(name: LockName): number {
    const queue = this.#queues.get(name);
    return queue === undefined ? 0 : queue.size - queue.holders;
  }

  /** Who holds a lock, and how many wait. */
  state(name: LockName): LockState {
    const holder = this.#queues.get(name)?.head;
    return {
      holderOwner: holder?.content.owner ?? "",
      holderToken: holder?.token ?? 0n,
      waiters: this.waiters(name),
    };
  }

  /** All tickets, in no particular order. Tickets may be added and removed meanwhile. */
  tickets(): Generator<Ticket> {
    return this.#tickets.values();
  }

  /** Adds a ticket at the end of its queue: its token is the highest of all. */
  add(ticket: Ticket): void {
    this.#tickets.set(ticket);
    this.#append(ticket);
  }

  /** Adds tickets of any order to a table that is empty. */
  addAll(tickets: readonly Ticket[]): void {
    this.#tickets.addAll(tickets);
    const unsorted = new Set<Queue>();
    for (const ticket of tickets) {
      const queue = this.#append(ticket);
      if (ticket.previous !== undefined && ticket.previous.token > ticket.token) {
        unsorted.add(queue);
      }
    }
    for (const queue of unsorted) {
      sort(queue);
    }
  }

  /**
   * Removes a ticket.
   *
   * @returns those that waited for it and hold from now on
   */
  remove(ticket: Ticket): readonly Ticket[] {
    const queue = this.#queues.get(ticket.name);
    if (queue === undefined || !ticket.present) {
      throw new Error("a ticket that is not in the table cannot be removed");
    }
    ticket.present = false;
    this.#tickets.delete(ticket);
    if (queue.size === 1) {
      this.#queues.delete(ticket.name);
      return nobody;
    }
    const { previous, next } = ticket;
    if (previous === undefined) {
      queue.head = next;
    } else {
      previous.next = next;
    }
    if (next === undefined) {
      queue.tail = previous;
    } else {
      next.previous = previous;
    }
    // What is gone must not keep others in memory.
    ticket.previous = undefined;
    ticket.next = undefined;
    queue.size--;
    if (ticket.holds) {
      queue.holders--;
    }
    return settle(queue);
  }

  #append(ticket: Ticket): Queue {
    let queue = this.#queues.get(ticket.name);
    if (queue === undefined) {
      queue = new Queue(ticket.name);
      this.#queues.set(ticket.name, queue);
    }
    link(ticket, queue);
    return queue;
  }
}

/** Adds a ticket at the end of its lock's queue. */
function link(ticket: Ticket, queue: Queue): void {
  ticket.previous = queue.tail;
  ticket.next = undefined;
  if (queue.tail === undefined) {
    queue.head = ticket;
  } else {
    queue.tail.next = ticket;
  }
  queue.tail = ticket;
  queue.size++;
  ticket.holds = queue.holders === 0;
  if (ticket.holds) {
    queue.holders = 1;
  }
}

function sort(queue: Queue): void {
  const tickets: Ticket[] = [];
  for (let ticket = queue.head; ticket !== undefined; ticket = ticket.next) {
    tickets.push(ticket);
  }
  tickets.sort((a, b) => (a.token < b.token ? -1 : 1));
  queue.head = undefined;
  queue.tail = undefined;
  queue.size = 0;
  queue.holders = 0;
  for (const ticket of tickets) {
    link(ticket, queue);
  }
}

const nobody: readonly Ticket[] = [];

/** Lets those hold that the lock's rule admits now. */
function settle(queue: Queue): readonly Ticket[] {
  const { head } = queue;
  if (head === undefined || queue.holders > 0) {
    return nobody;
  }
  head.holds = true;
  queue.holders = 1;
  return [head];
}

/** Of the whole name: names of many shapes differ at any place. */
function hashOf(name: LockName): number {
  let hash = name.length;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  }
  return hash ^ (hash >>> 15);
}

import type { TicketRef } from "../model/command.js";
import type { LockName } from "../model/lock-name.js";
import { NameOrder } from "./name-order.js";
import { Queue } from "./queue.js";
import { ShardedMap } from "./sharded-map.js";
import type { Ticket } from "./ticket.js";
import { TicketMap } from "./ticket-map.js";

/** Who holds which lock, and who waits. No I/O, no clock, no randomness. */
export class LockTable {
  readonly #tickets = new TicketMap<Ticket>();
  readonly #queues = new ShardedMap<LockName, Queue>(hashOf);
  /** Kept up to date once somebody asked for it. */
  #names: NameOrder | undefined = undefined;

  /** Number of tickets. */
  get size(): number {
    return this.#tickets.size;
  }

  get(ticket: TicketRef): Ticket | undefined {
    return this.#tickets.get(ticket);
  }

  /** The tickets of a lock; undefined when there are none. */
  queue(name: LockName): Readonly<Queue> | undefined {
    return this.#queues.get(name);
  }

  /** The names of all locks in their order, from now on until {@link forgetNames}; the same as long as there is one. */
  names(): NameOrder {
    return (this.#names ??= new NameOrder(this.#queues.values()));
  }

  /** Nobody needs the order of names any more. */
  forgetNames(): void {
    this.#names = undefined;
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
      queue.sort();
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
      this.#names?.delete(ticket.name);
      return nobody;
    }
    return queue.remove(ticket);
  }

  /**
   * Gives a ticket that holds another share, which leaves no less to others.
   *
   * @param change - puts the share into the ticket
   * @returns those that waited for it and hold from now on
   */
  reshare(ticket: Ticket, change: () => void): readonly Ticket[] {
    const queue = this.#queues.get(ticket.name);
    if (queue === undefined || !ticket.holds) {
      throw new Error("a ticket that does not hold cannot change its share");
    }
    return queue.reshare(ticket, change);
  }

  #append(ticket: Ticket): Queue {
    let queue = this.#queues.get(ticket.name);
    if (queue === undefined) {
      queue = new Queue(ticket.name);
      this.#queues.set(ticket.name, queue);
      this.#names?.add(ticket.name);
    }
    queue.append(ticket);
    return queue;
  }
}

const nobody: readonly Ticket[] = [];

/** Of the whole name: names of many shapes differ at any place. */
function hashOf(name: LockName): number {
  let hash = name.length;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  }
  return hash ^ (hash >>> 15);
}

import { HashTable } from "@metasrv/wire";
import { hashOfName, type LockName, type TicketRef } from "../model/ticket-ref.js";
import { NameOrder } from "./name-order.js";
import { Queue, Ticket, type TicketGroup } from "./queue.js";
import { Tally } from "./tally.js";
import { partsOfManyTickets, TicketMap } from "./ticket-map.js";

/** Which group a lock is counted in; any object. */
export type GroupOf = (name: LockName) => object;

/** Makes the queue of a lock that has none. */
export type CreateQueue = (name: LockName) => Queue;

/** Who holds which lock, and who waits. No I/O, no clock, no randomness. */
export class LockTable {
  readonly #tickets = new TicketMap<Ticket>();
  readonly #queues = new HashTable<LockName, Queue>(hashOfName, partsOfManyTickets);
  /** Tickets whose requesters hold something meanwhile, by the tokens of what they hold. */
  readonly #within = new Map<bigint, Set<Ticket>>();
  /** Kept up to date once somebody asked for it. */
  #names: NameOrder | undefined = undefined;
  readonly #groupOf: GroupOf | undefined;
  /** By their groups. */
  readonly #tallies = new Map<object, Tally>();

  readonly #createQueue: CreateQueue;

  /**
   * @param groupOf - absent: nothing is counted by groups
   * @param createQueue - makes the queue of a lock; one with another rule in tests only
   */
  constructor(groupOf?: GroupOf, createQueue: CreateQueue = (name) => new Queue(name)) {
    this.#groupOf = groupOf;
    this.#createQueue = createQueue;
  }

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
    return (this.#names ??= new NameOrder(this.#queues.values(), (name) => this.#queues.get(name)));
  }

  /** Nobody needs the order of names any more. */
  forgetNames(): void {
    this.#names = undefined;
  }

  /** What the locks of a group come to. */
  tally(group: object): Tally | undefined {
    return this.#tallies.get(group);
  }

  /** All tickets, in no particular order. Tickets may be added and removed meanwhile. */
  tickets(): Generator<Ticket> {
    return this.#tickets.values();
  }

  /** Those whose requesters hold the ticket with this token meanwhile. */
  within(token: bigint): Iterable<Ticket> {
    return this.#within.get(token) ?? nobody;
  }

  /** All that hold something while they wait for something else, or did. */
  *nested(): Generator<Ticket> {
    for (const tickets of this.#within.values()) {
      yield* tickets;
    }
  }

  /** Adds a ticket at the end of its queue, and its parts at the end of theirs: its token is the highest of all. */
  add(ticket: Ticket): void {
    this.#tickets.set(ticket);
    this.#append(ticket);
    if (ticket.content.extras !== undefined) {
      for (const part of this.#split(ticket)) {
        this.#append(part);
      }
      count(ticket.group);
    }
  }

  /** Adds tickets of any order to a table that is empty. */
  addAll(tickets: readonly Ticket[]): void {
    this.#tickets.addAll(tickets);
    const unsorted = new Set<Queue>();
    const append = (ticket: Ticket) => {
      const queue = this.#queueOf(ticket.name);
      queue.append(ticket);
      if (ticket.previous !== undefined && ticket.previous.token > ticket.token) {
        unsorted.add(queue);
      }
    };
    const groups: TicketGroup[] = [];
    for (const part of this.#queues.inParts(tickets, ({ name }) => name)) {
      for (const ticket of part) {
        append(ticket);
        if (ticket.content.extras !== undefined) {
          this.#split(ticket).forEach(append);
          groups.push(...(ticket.group === undefined ? [] : [ticket.group]));
        }
      }
    }
    for (const queue of unsorted) {
      queue.sort();
    }
    groups.forEach(count);
    if (this.#groupOf !== undefined) {
      for (const queue of this.#queues.values()) {
        this.#tallyOf(queue.name, this.#groupOf).addQueue(queue);
      }
    }
  }

  /**
   * Removes a ticket and its parts.
   *
   * @returns those that waited for it and hold from now on
   */
  remove(ticket: Ticket): readonly Ticket[] {
    if (!ticket.present || this.#queues.get(ticket.name) === undefined) {
      throw new Error("a ticket that is not in the table cannot be removed");
    }
    ticket.present = false;
    this.#tickets.delete(ticket);
    for (const { token } of ticket.content.extras?.within ?? []) {
      const tickets = this.#within.get(token);
      tickets?.delete(ticket);
      if (tickets?.size === 0) {
        this.#within.delete(token);
      }
    }
    return ticket.group === undefined
      ? holding(this.#take(ticket))
      : ticket.group.parts.flatMap((part) => holding(this.#take(part)));
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
    return holding(queue.reshare(ticket, change));
  }

  /** Makes the tickets of the other locks that a ticket asks for at once, and notes what its requester holds meanwhile. */
  #split(ticket: Ticket): readonly Ticket[] {
    const { content, id, token, memberId, attempt } = ticket;
    for (const held of content.extras?.within ?? []) {
      const tickets = this.#within.get(held.token);
      if (tickets === undefined) {
        this.#within.set(held.token, new Set([ticket]));
      } else {
        tickets.add(ticket);
      }
    }
    const parts = (content.extras?.others ?? []).map(({ name, permits, limit }) => {
      return new Ticket({ name, id }, token, { ...content, permits, limit }, memberId, attempt);
    });
    if (parts.length > 0) {
      const group = { parts: [ticket, ...parts], waitsFor: 0 };
      for (const part of group.parts) {
        part.group = group;
      }
    }
    return parts;
  }

  /** Takes a ticket out of its queue. @returns those that are admitted from now on */
  #take(ticket: Ticket): readonly Ticket[] {
    const queue = this.#queues.get(ticket.name);
    if (queue === undefined) {
      throw new Error("a ticket has no queue");
    }
    if (queue.size === 1) {
      this.#queues.delete(ticket.name);
      this.#names?.delete(queue);
      if (queue.tally !== undefined) {
        queue.tally.locks--;
      }
      return nobody;
    }
    return queue.remove(ticket);
  }

  #append(ticket: Ticket): void {
    const queue = this.#queueOf(ticket.name);
    if (this.#groupOf !== undefined && queue.tally === undefined) {
      this.#tallyOf(ticket.name, this.#groupOf).addQueue(queue);
    }
    queue.append(ticket);
  }

  #queueOf(name: LockName): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = this.#createQueue(name);
      this.#queues.set(name, queue);
      this.#names?.add(name);
    }
    return queue;
  }

  #tallyOf(name: LockName, groupOf: GroupOf): Tally {
    const group = groupOf(name);
    let tally = this.#tallies.get(group);
    if (tally === undefined) {
      tally = new Tally();
      this.#tallies.set(group, tally);
    }
    return tally;
  }
}

const nobody: readonly Ticket[] = [];

/** Counts how many tickets of a group are not admitted. */
function count(group: TicketGroup | undefined): void {
  if (group !== undefined) {
    group.waitsFor = group.parts.filter(({ admitted }) => !admitted).length;
  }
}

/** Which tickets hold, of those that were admitted just now. */
function holding(admitted: readonly Ticket[]): readonly Ticket[] {
  if (admitted.every(({ group }) => group === undefined)) {
    return admitted;
  }
  return admitted.filter(({ group }) => group === undefined || --group.waitsFor === 0).map(({ main }) => main);
}

import type { LockName, StoredTicket, Ticket, TicketId } from "../log/ticket-log.js";
import type { LockState } from "./lock-errors.js";
import { lockModes } from "./lock-mode.js";
import { ticketRefKey } from "./ticket-map.js";

/** A ticket in its lock's queue. Read-only to everyone but the table. */
export interface TableTicket extends StoredTicket {
  /** Whether the ticket holds its lock; otherwise it waits. */
  readonly holds: boolean;
}

/** Told what the table has concluded. Must not change the table from within. */
export interface LockTableObserver {
  /** The ticket holds its lock from now on, until it is removed. */
  granted(ticket: TableTicket): void;
  /** A ticket came to be in the table, or its content changed. Comes before `granted`. */
  put(ticket: TableTicket): void;
  /** The ticket is gone. */
  removed(ticket: TableTicket): void;
}

/**
 * Who holds which lock, and who waits: a pure function of the log. Events go in, conclusions come out; no I/O, no clock,
 * no randomness. Every node folds the same log and so has the same table.
 *
 * The tickets of a lock queue by create revision, and the mode's rule says how many of the first hold (one, in mode
 * `exclusive`). Changes are gathered until {@link settle}, which concludes on what is there then: a ticket that was
 * there only between two changes of one batch is never granted.
 */
export class LockTable {
  readonly #observer: LockTableObserver;
  readonly #queues = new Map<LockName, Queue>();
  readonly #touched = new Set<Queue>();
  #size = 0;

  constructor(observer: LockTableObserver) {
    this.#observer = observer;
  }

  /** Number of tickets. */
  get size(): number {
    return this.#size;
  }

  get(name: LockName, id: TicketId): TableTicket | undefined {
    return this.#queues.get(name)?.tickets.get(id);
  }

  /** The first ticket of a lock: its holder, or the first of several. */
  first(name: LockName): TableTicket | undefined {
    return this.#queues.get(name)?.head;
  }

  /** Number of tickets that wait for a lock. */
  waiters(name: LockName): number {
    const queue = this.#queues.get(name);
    return queue === undefined ? 0 : queue.tickets.size - queue.holders;
  }

  /** Who holds a lock, and how many wait. */
  state(name: LockName): LockState {
    const holder = this.first(name);
    return {
      holderOwner: holder?.ticket.owner ?? "",
      holderToken: holder?.createRevision ?? 0n,
      waiters: this.waiters(name),
    };
  }

  /** All tickets, lock by lock in the order of their queues. */
  *tickets(): Generator<TableTicket> {
    for (const queue of this.#queues.values()) {
      for (let node = queue.head; node !== undefined; node = node.next) {
        yield node;
      }
    }
  }

  /** A ticket was created or changed. */
  put(stored: StoredTicket): void {
    const queue = this.#queues.get(stored.name) ?? this.#addQueue(stored.name);
    let node = queue.tickets.get(stored.id);
    if (node !== undefined && node.createRevision !== stored.createRevision) {
      this.#unlink(queue, node);
      node = undefined;
    }
    if (node === undefined) {
      node = new Node(stored);
      this.#size++;
      queue.insert(node);
      this.#touched.add(queue);
    } else {
      node.ticket = stored.ticket;
      node.modRevision = stored.modRevision;
    }
    this.#observer.put(node);
  }

  /** A ticket was removed. Nothing happens if it is not there. */
  delete(name: LockName, id: TicketId): void {
    const queue = this.#queues.get(name);
    const node = queue?.tickets.get(id);
    if (queue !== undefined && node !== undefined) {
      this.#unlink(queue, node);
    }
  }

  /** The log was listed anew: these tickets are all there are. */
  reset(listing: readonly StoredTicket[]): void {
    if (this.#size > 0) {
      this.#removeAllBut(listing);
    }
    for (const stored of listing.toSorted(byCreation)) {
      if (this.get(stored.name, stored.id)?.modRevision !== stored.modRevision) {
        this.put(stored);
      }
    }
  }

  /** Concludes who holds, after one or more changes. */
  settle(): void {
    for (const queue of this.#touched) {
      for (let node = queue.head; node !== undefined; node = node.next) {
        if (node.holds) {
          continue;
        }
        if (!lockModes[node.ticket.mode](queue.holders, queue.head?.ticket ?? node.ticket)) {
          break;
        }
        node.holds = true;
        queue.holders++;
        this.#observer.granted(node);
      }
      if (queue.head === undefined) {
        this.#queues.delete(queue.name);
      }
    }
    this.#touched.clear();
  }

  #removeAllBut(listing: readonly StoredTicket[]): void {
    const listed = new Map(listing.map((stored) => [ticketRefKey(stored), stored.createRevision]));
    for (const ticket of this.tickets()) {
      if (listed.get(ticketRefKey(ticket)) !== ticket.createRevision) {
        this.delete(ticket.name, ticket.id);
      }
    }
  }

  #addQueue(name: LockName): Queue {
    const queue = new Queue(name);
    this.#queues.set(name, queue);
    return queue;
  }

  #unlink(queue: Queue, node: Node): void {
    queue.remove(node);
    this.#size--;
    this.#touched.add(queue);
    this.#observer.removed(node);
  }
}

function byCreation(a: StoredTicket, b: StoredTicket): number {
  return a.createRevision < b.createRevision ? -1 : a.createRevision > b.createRevision ? 1 : 0;
}

/** A link of a queue. */
class Node implements TableTicket {
  readonly name: LockName;
  readonly id: TicketId;
  readonly createRevision: bigint;
  ticket: Ticket;
  modRevision: bigint;
  holds = false;
  previous: Node | undefined = undefined;
  next: Node | undefined = undefined;

  constructor(stored: StoredTicket) {
    this.name = stored.name;
    this.id = stored.id;
    this.createRevision = stored.createRevision;
    this.ticket = stored.ticket;
    this.modRevision = stored.modRevision;
  }
}

/**
 * The tickets of one lock in the order of their creation: linked, so that the first is found and any is removed in
 * constant time however many wait.
 */
class Queue {
  readonly name: LockName;
  readonly tickets = new Map<TicketId, Node>();
  head: Node | undefined = undefined;
  #tail: Node | undefined = undefined;
  /** How many of the first tickets hold. */
  holders = 0;

  constructor(name: LockName) {
    this.name = name;
  }

  /** Puts a link where its creation belongs: last, but for what a restored store brings back. */
  insert(node: Node): void {
    this.tickets.set(node.id, node);
    let previous = this.#tail;
    while (previous !== undefined && previous.createRevision > node.createRevision) {
      previous = previous.previous;
    }
    const next = previous === undefined ? this.head : previous.next;
    node.previous = previous;
    node.next = next;
    if (previous === undefined) {
      this.head = node;
    } else {
      previous.next = node;
    }
    if (next === undefined) {
      this.#tail = node;
    } else {
      next.previous = node;
    }
  }

  remove(node: Node): void {
    this.tickets.delete(node.id);
    if (node.previous === undefined) {
      this.head = node.next;
    } else {
      node.previous.next = node.next;
    }
    if (node.next === undefined) {
      this.#tail = node.previous;
    } else {
      node.next.previous = node.previous;
    }
    if (node.holds) {
      this.holders--;
    }
  }
}

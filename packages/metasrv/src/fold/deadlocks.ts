import type { Fold } from "./fold.js";
import type { Ticket } from "./queue.js";

/** How many tickets one search is about, and how often it looks at one of them. With more, it finds nothing. */
const mostTickets = 1_000;
const mostLooks = 10_000;

type Table = Pick<Fold, "within" | "nested" | "queue">;

/**
 * Finds a deadlock: tickets that wait for each other in a circle, and none of which can ever hold.
 *
 * A ticket that waits needs those before it in the queue to go, or of a semaphore as many of them as take the room that it
 * needs. A ticket that holds goes when its requester has done its work, and that may wait in turn with another ticket, as far
 * as requesters say what they hold meanwhile.
 *
 * @param from - a ticket that waits
 * @returns the waiting tickets of a circle that it is in, it first; undefined when there is none, or when too many tickets
 *   have to do with it
 */
export function findDeadlock(table: Table, from: Ticket): readonly Ticket[] | undefined {
  return new Search(table, from).run();
}

/** All deadlocks, each once, and undefined for each ticket that is in none: the table may change before the next is asked for. */
export function* findDeadlocks(table: Table): Generator<readonly Ticket[] | undefined> {
  const seen = new Set<Ticket>();
  for (const ticket of [...table.nested()]) {
    const found = seen.has(ticket) || ticket.holds || !ticket.present ? undefined : findDeadlock(table, ticket);
    for (const member of found ?? []) {
      seen.add(member);
    }
    yield found;
  }
}

/** Looks for the circle that one ticket is in. Whoever may ask for locks makes the table, so it bounds what it does. */
class Search {
  readonly #table: Table;
  readonly #from: Ticket;
  #looks = 0;

  constructor(table: Table, from: Ticket) {
    this.#table = table;
    this.#from = from;
  }

  run(): readonly Ticket[] | undefined {
    const stuck = this.#involved();
    this.#keepStuck(stuck);
    return !this.#isOver && stuck.has(this.#from) ? this.#circle(stuck) : undefined;
  }

  get #isOver(): boolean {
    return this.#looks > mostLooks;
  }

  /** Counts a look at a ticket. @returns whether there may be more */
  #look(): boolean {
    return ++this.#looks <= mostLooks;
  }

  /** All tickets for which the ticket waits, and those for which these wait. */
  #involved(): Set<Ticket> {
    const involved = new Set([this.#from]);
    const passed = new Set<Ticket>();
    for (const ticket of involved) {
      for (const other of this.#waitsFor(ticket, passed)) {
        involved.add(other);
        if (involved.size > mostTickets) {
          this.#looks = Infinity;
        }
      }
    }
    return involved;
  }

  /**
   * The tickets that one waits for, if it waits, or whose requesters hold it while they wait.
   *
   * @param passed - parts of which it was said before, and so of all before them in their queues: they are left out
   */
  *#waitsFor(ticket: Ticket, passed: Set<Ticket>): Generator<Ticket> {
    if (ticket.holds) {
      for (const inner of this.#table.within(ticket.token)) {
        if (!this.#look()) {
          return;
        }
        if (!inner.holds) {
          yield inner;
        }
      }
      return;
    }
    for (const part of ticket.parts) {
      let before = part.admitted || passed.has(part) ? undefined : part.previous;
      for (; before !== undefined && !passed.has(before); before = before.previous) {
        if (!this.#look()) {
          return;
        }
        passed.add(before);
        yield before.main;
      }
    }
  }

  /** Takes those out that can go on once all that were taken out have gone. */
  #keepStuck(stuck: Set<Ticket>): void {
    for (let before = 0; before !== stuck.size && !this.#isOver;) {
      before = stuck.size;
      // What was found last is waited for by what was found first.
      for (const ticket of [...stuck].reverse()) {
        if (
          ticket.holds ? this.#endsItsWork(ticket, stuck) : ticket.parts.every((part) => this.#getsRoom(part, stuck))
        ) {
          stuck.delete(ticket);
        }
      }
    }
  }

  #endsItsWork({ token }: Ticket, stuck: ReadonlySet<Ticket>): boolean {
    for (const inner of this.#table.within(token)) {
      if (!this.#look() || (!inner.holds && stuck.has(inner))) {
        return false;
      }
    }
    return true;
  }

  /** Whether its queue admits it once only those before it are left that are stuck. */
  #getsRoom(part: Ticket, stuck: ReadonlySet<Ticket>): boolean {
    const { admitted, previous, name } = part;
    if (admitted) {
      return true;
    }
    // If one that waits can go on, so can all that wait before it.
    if (previous?.admitted === false && stuck.has(previous.main)) {
      return false;
    }
    let { permits, limit } = part.content;
    for (const before of this.#table.queue(name)) {
      if (!before.admitted) {
        break;
      }
      if (!this.#look()) {
        return false;
      }
      if (stuck.has(before.main)) {
        permits += before.content.permits;
        limit = Math.min(limit, before.content.limit);
      }
    }
    return permits <= limit;
  }

  #circle(stuck: ReadonlySet<Ticket>): readonly Ticket[] | undefined {
    const from = this.#from;
    const cameFrom = new Map<Ticket, Ticket | undefined>([[from, undefined]]);
    const passed = new Set<Ticket>();
    const open: Ticket[] = [from];
    for (let ticket = open.pop(); ticket !== undefined; ticket = open.pop()) {
      for (const next of this.#waitsFor(ticket, passed)) {
        if (next === from) {
          return path(cameFrom, ticket);
        }
        if (stuck.has(next) && !cameFrom.has(next)) {
          cameFrom.set(next, ticket);
          open.push(next);
        }
      }
    }
    return undefined;
  }
}

/** The tickets on the way there that wait. Those that hold are what these wait for. */
function path(cameFrom: ReadonlyMap<Ticket, Ticket | undefined>, last: Ticket): readonly Ticket[] {
  const tickets: Ticket[] = [];
  for (let ticket: Ticket | undefined = last; ticket !== undefined; ticket = cameFrom.get(ticket)) {
    tickets.push(ticket);
  }
  return tickets.reverse().filter(({ holds }) => !holds);
}

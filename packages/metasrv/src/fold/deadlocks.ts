import type { Fold } from "./fold.js";
import type { Ticket } from "./ticket.js";

/** How many tickets are looked at to find one circle. */
const mostLooked = 10_000;

type Table = Pick<Fold, "within" | "nested">;

/**
 * Finds a deadlock: tickets that wait for each other in a circle.
 *
 * A ticket that is not admitted waits for those before it in the queue. A ticket that is admitted goes when its requester has
 * done its work, and that may wait in turn with another ticket, as far as requesters say what they hold meanwhile.
 *
 * @param from - a ticket that waits
 * @returns the waiting tickets of a circle that it is in, it first; undefined when there is none, or it was not found in a bounded time
 */
export function findDeadlock(table: Table, from: Ticket): readonly Ticket[] | undefined {
  const cameFrom = new Map<Ticket, Ticket | undefined>([[from, undefined]]);
  const open: Ticket[] = [from];
  for (let ticket = open.pop(); ticket !== undefined && cameFrom.size < mostLooked; ticket = open.pop()) {
    for (const next of waitsFor(table, ticket)) {
      if (next === from) {
        return path(cameFrom, ticket);
      }
      if (!cameFrom.has(next)) {
        cameFrom.set(next, ticket);
        open.push(next);
      }
    }
  }
  return undefined;
}

/** All deadlocks, each once. */
export function* findDeadlocks(table: Table): Generator<readonly Ticket[]> {
  const seen = new Set<Ticket>();
  for (const ticket of table.nested()) {
    const circle = seen.has(ticket) || ticket.holds ? undefined : findDeadlock(table, ticket);
    if (circle !== undefined) {
      for (const member of circle) {
        seen.add(member);
      }
      yield circle;
    }
  }
}

function* waitsFor(table: Table, ticket: Ticket): Generator<Ticket> {
  if (ticket.holds) {
    for (const inner of table.within(ticket.token)) {
      if (!inner.holds) {
        yield inner;
      }
    }
    return;
  }
  for (const part of ticket.parts) {
    for (let before = part.admitted ? undefined : part.previous; before !== undefined; before = before.previous) {
      yield before.main;
    }
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

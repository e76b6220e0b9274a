import type { Fold } from "./fold.js";
import type { Ticket } from "./queue.js";

/** How many tickets are looked at to find one deadlock. */
const mostLooked = 1_000;

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
  const stuck = new Set([from]);
  for (const ticket of stuck) {
    for (const other of waitsFor(table, ticket)) {
      stuck.add(other);
    }
    if (stuck.size > mostLooked) {
      return undefined;
    }
  }
  keepStuck(table, stuck);
  return stuck.has(from) ? circle(table, from, stuck) : undefined;
}

/** All deadlocks, each once. */
export function* findDeadlocks(table: Table): Generator<readonly Ticket[]> {
  const seen = new Set<Ticket>();
  for (const ticket of table.nested()) {
    const found = seen.has(ticket) || ticket.holds ? undefined : findDeadlock(table, ticket);
    if (found !== undefined) {
      for (const member of found) {
        seen.add(member);
      }
      yield found;
    }
  }
}

/** The tickets that one waits for, if it waits, or whose requesters hold it while they wait. */
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

/** Takes those out that can go on once all that were taken out have gone. */
function keepStuck(table: Table, stuck: Set<Ticket>): void {
  for (let before = 0; before !== stuck.size;) {
    before = stuck.size;
    for (const ticket of stuck) {
      if (
        ticket.holds ? endsItsWork(table, ticket, stuck) : ticket.parts.every((part) => getsRoom(table, part, stuck))
      ) {
        stuck.delete(ticket);
      }
    }
  }
}

function endsItsWork(table: Table, { token }: Ticket, stuck: ReadonlySet<Ticket>): boolean {
  return ![...table.within(token)].some((inner) => !inner.holds && stuck.has(inner));
}

/** Whether its queue admits it once only those before it are left that are stuck. */
function getsRoom(table: Table, part: Ticket, stuck: ReadonlySet<Ticket>): boolean {
  let { permits, limit } = part.content;
  for (const before of part.admitted ? [] : table.queue(part.name)) {
    if (before === part) {
      break;
    }
    if (stuck.has(before.main)) {
      if (!before.admitted) {
        return false;
      }
      permits += before.content.permits;
      limit = Math.min(limit, before.content.limit);
    }
  }
  return permits <= limit;
}

function circle(table: Table, from: Ticket, stuck: ReadonlySet<Ticket>): readonly Ticket[] | undefined {
  const cameFrom = new Map<Ticket, Ticket | undefined>([[from, undefined]]);
  const open: Ticket[] = [from];
  for (let ticket = open.pop(); ticket !== undefined; ticket = open.pop()) {
    for (const next of waitsFor(table, ticket)) {
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

/** The tickets on the way there that wait. Those that hold are what these wait for. */
function path(cameFrom: ReadonlyMap<Ticket, Ticket | undefined>, last: Ticket): readonly Ticket[] {
  const tickets: Ticket[] = [];
  for (let ticket: Ticket | undefined = last; ticket !== undefined; ticket = cameFrom.get(ticket)) {
    tickets.push(ticket);
  }
  return tickets.reverse().filter(({ holds }) => !holds);
}

import type { Queue, QueueTally, Ticket } from "./queue.js";

/**
 * What a group of locks comes to, kept up to date as their queues change, so that nobody has to walk through a million
 * locks to know it. No rule uses it.
 */
export class Tally implements QueueTally {
  /** Locks that somebody holds, or that are kept for somebody. */
  locks = 0;
  /** Tickets that are not admitted; those of several locks count once for each. */
  waiting = 0;
  /** The first and the last of these, in the order in which they came. */
  #first: Ticket | undefined = undefined;
  #last: Ticket | undefined = undefined;

  /** When the ticket came that waits longest, in milliseconds of `Fold.nowMs`; undefined when none waits. */
  get oldestSeenAtMs(): number | undefined {
    return this.#first?.main.seenAtMs;
  }

  /** Counts a queue that is there already. */
  addQueue(queue: Queue): void {
    queue.tally = this;
    this.locks++;
    for (let ticket = queue.waiting; ticket !== undefined; ticket = ticket.next) {
      this.waits(ticket);
    }
  }

  waits(ticket: Ticket): void {
    this.waiting++;
    ticket.waitsAfter = this.#last;
    ticket.waitsBefore = undefined;
    if (this.#last === undefined) {
      this.#first = ticket;
    } else {
      this.#last.waitsBefore = ticket;
    }
    this.#last = ticket;
  }

  waitsNoMore(ticket: Ticket): void {
    this.waiting--;
    const { waitsAfter, waitsBefore } = ticket;
    if (waitsAfter === undefined) {
      this.#first = waitsBefore;
    } else {
      waitsAfter.waitsBefore = waitsBefore;
    }
    if (waitsBefore === undefined) {
      this.#last = waitsAfter;
    } else {
      waitsBefore.waitsAfter = waitsAfter;
    }
    ticket.waitsAfter = undefined;
    ticket.waitsBefore = undefined;
  }
}

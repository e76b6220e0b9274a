import type { Fold } from "../fold/fold.js";
import type { TicketContent } from "../model/command.js";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/lock-name.js";

/**
 * Bounds what may be asked for at this node. A ticket counts as a waiter as soon as it is asked for: otherwise a burst
 * of requests could exceed the bound before the table shows them.
 */
export class Admission {
  readonly #limits: Limits;
  readonly #fold: Pick<Fold, "waiters" | "room">;
  /** Number of tickets that were asked for and are not in the table yet, by lock. */
  readonly #unseen = new Map<LockName, number>();

  constructor(limits: Limits, fold: Pick<Fold, "waiters" | "room">) {
    this.#limits = limits;
    this.#fold = fold;
  }

  /**
   * Checks that there is room for one more ticket.
   *
   * @param served - how many tickets this node serves already
   * @param joins - whether the ticket may have to wait in its lock's queue
   * @throws LockError `too-many-tickets` or `too-many-waiters`
   */
  requireRoom(name: LockName, content: TicketContent, served: number, joins: boolean): void {
    const { maxTickets, maxWaitersPerLock } = this.#limits;
    if (served >= maxTickets) {
      throw new LockError(
        "too-many-tickets",
        `this node serves ${maxTickets} tickets already, as many as it is configured to; ask another node, or raise the limit`,
      );
    }
    if (!joins) {
      return;
    }
    if (content.extras?.others.some((part) => this.#fold.waiters(part.name) >= maxWaitersPerLock) === true) {
      throw tooManyWaiters(maxWaitersPerLock);
    }
    const queued = this.#fold.waiters(name) + (this.#unseen.get(name) ?? 0);
    // The first unseen tickets will hold the lock at once, as many as it has room for. They are no waiters.
    if (queued >= maxWaitersPerLock && queued >= maxWaitersPerLock + this.#fold.room(name, content)) {
      throw tooManyWaiters(maxWaitersPerLock);
    }
  }

  /** Counts a ticket until it is {@link seen}. */
  count(ticket: { readonly name: LockName; counted: boolean }): void {
    ticket.counted = true;
    this.#unseen.set(ticket.name, (this.#unseen.get(ticket.name) ?? 0) + 1);
  }

  /** Stops counting a ticket, because the table shows it now or never will. Harmless when repeated. */
  seen(ticket: { readonly name: LockName; counted: boolean }): void {
    if (!ticket.counted) {
      return;
    }
    ticket.counted = false;
    const unseen = (this.#unseen.get(ticket.name) ?? 1) - 1;
    if (unseen === 0) {
      this.#unseen.delete(ticket.name);
    } else {
      this.#unseen.set(ticket.name, unseen);
    }
  }
}

function tooManyWaiters(maxWaitersPerLock: number): LockError {
  return new LockError(
    "too-many-waiters",
    `${maxWaitersPerLock} requests wait for this lock already, as many as are allowed; try again later`,
  );
}

import type { Fold } from "../fold/fold.js";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/lock-name.js";

/**
 * The bounds on what is asked for here. A ticket counts as a waiter from the request on: what came in one burst must not
 * pass the bound before the table shows it.
 */
export class Admission {
  readonly #limits: Limits;
  readonly #fold: Pick<Fold, "waiters" | "isFree">;
  /** Tickets asked for and not in the table yet, by name. */
  readonly #unseen = new Map<LockName, number>();

  constructor(limits: Limits, fold: Pick<Fold, "waiters" | "isFree">) {
    this.#limits = limits;
    this.#fold = fold;
  }

  /**
   * Checks that there is room for one more ticket.
   *
   * @param served - tickets that this node serves already
   * @param joins - whether it may come to wait as one more of its lock
   * @throws LockError `too-many-tickets` or `too-many-waiters`
   */
  requireRoom(name: LockName, served: number, joins: boolean): void {
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
    const queued = this.#fold.waiters(name) + (this.#unseen.get(name) ?? 0);
    // Of a lock that nobody holds, the first of the unseen will be the holder, who does not wait.
    if (queued >= maxWaitersPerLock && queued >= maxWaitersPerLock + (this.#fold.isFree(name) ? 1 : 0)) {
      throw new LockError(
        "too-many-waiters",
        `${maxWaitersPerLock} requests wait for this lock already, as many as are allowed; try again later`,
      );
    }
  }

  /** Counts a ticket until it is {@link seen}. */
  count(ticket: { readonly name: LockName; counted: boolean }): void {
    ticket.counted = true;
    this.#unseen.set(ticket.name, (this.#unseen.get(ticket.name) ?? 0) + 1);
  }

  /** The table shows the ticket, or it is settled that it will not. Harmless when repeated. */
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

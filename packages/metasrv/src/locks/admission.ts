import type { LockName } from "../log/ticket-log.js";
import type { Limits } from "./limits.js";
import type { LocalTicket } from "./local-ticket.js";
import { LockError } from "./lock-errors.js";
import type { LockTable } from "./lock-table.js";

/**
 * The bounds on what is asked for here. A ticket counts as a waiter from the request on: what came in one burst must not
 * pass the bound before the table shows it.
 */
export class Admission {
  readonly #limits: Limits;
  readonly #table: LockTable;
  /** Tickets asked for and not seen in the table yet, by name. */
  readonly #unseen = new Map<LockName, number>();

  constructor(limits: Limits, table: LockTable) {
    this.#limits = limits;
    this.#table = table;
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
    const queued = this.#table.waiters(name) + (this.#unseen.get(name) ?? 0);
    // Of a lock that nobody holds, the first of the unseen will be the holder, who does not wait.
    if (joins && queued >= maxWaitersPerLock + (this.#table.first(name) === undefined ? 1 : 0)) {
      throw new LockError(
        "too-many-waiters",
        `${maxWaitersPerLock} requests wait for this lock already, as many as are allowed; try again later`,
      );
    }
  }

  /** Counts a ticket until it is {@link seen}. */
  count(local: LocalTicket): void {
    local.counted = true;
    this.#unseen.set(local.name, (this.#unseen.get(local.name) ?? 0) + 1);
  }

  /** The table shows the ticket, or it is settled that it will not. Harmless when repeated. */
  seen(local: LocalTicket): void {
    if (local.counted) {
      local.counted = false;
      const unseen = (this.#unseen.get(local.name) ?? 1) - 1;
      if (unseen === 0) {
        this.#unseen.delete(local.name);
      } else {
        this.#unseen.set(local.name, unseen);
      }
    }
  }
}

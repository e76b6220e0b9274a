import type { OpResult, StoredTicket, Ticket, TicketLog } from "../log/ticket-log.js";
import { checkTtl } from "./claim-check.js";
import type { Limits } from "./limits.js";
import { LocalTicket } from "./local-ticket.js";
import type { LocalTickets } from "./local-tickets.js";
import { LockError, notAMember, notHeld } from "./lock-errors.js";
import { decodeLockKey, type LockKey } from "./lock-key.js";
import type { LockTable, TableTicket } from "./lock-table.js";
import type { Standing } from "./standing.js";
import type { TableProgress } from "./table-progress.js";
import { ticketRefKey, type TicketRef } from "./ticket-map.js";

/** What adoption works on. */
export interface AdoptionOptions {
  readonly log: TicketLog;
  readonly limits: Limits;
  readonly table: LockTable;
  readonly progress: TableProgress;
  readonly standing: Standing;
  readonly locals: LocalTickets;
}

/** How a ticket stands that was not adopted, because it has changed or is gone. */
interface NotAdopted {
  readonly existing: StoredTicket | undefined;
}

/**
 * How a ticket that holds comes to this node from another: its requester renews the key here, or its member is gone and
 * this node leads. Whoever adopts a ticket runs its clock from then on.
 */
export class Adoption {
  readonly #options: AdoptionOptions;
  /** Attempts under way, by {@link ticketRefKey}. */
  readonly #adopting = new Map<string, number>();

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** Whether the ticket is on its way to this node. */
  underWay(ticket: TicketRef): boolean {
    return this.#adopting.has(ticketRefKey(ticket));
  }

  /**
   * Gives the ticket of a key a full TTL again, and adopts it if it is not served here.
   *
   * @param ttlMs - a new TTL in milliseconds; 0 keeps the one that it has
   * @throws LockError `not-held`, `invalid-key`, `invalid-ttl`, `shutting-down`, `not-a-member`, or what the log throws
   */
  async renewByKey(keyBytes: Uint8Array, ttlMs: number): Promise<LocalTicket> {
    const { limits, standing, locals } = this.#options;
    const key = decodeLockKey(keyBytes, limits.maxNameBytes);
    const wanted = ttlMs === 0 ? undefined : checkTtl(ttlMs, limits);
    standing.requireMember();
    const local = locals.get(key);
    if (local?.held === true && local.createRevision === key.token) {
      try {
        await local.renew(wanted ?? local.ticket.ttlMs);
        return local;
      } catch (error) {
        if (!(error instanceof LockError && error.reason === "not-held")) {
          throw error;
        }
        // It may have been at another member and come back.
      }
    }
    return this.#adoptByKey(key, wanted);
  }

  /** Adopts a ticket that holds and whose member is gone, with its TTL. */
  async takeOver(orphan: TableTicket): Promise<void> {
    await this.#adopt(orphan, orphan.ticket.ttlMs, true);
  }

  async #adoptByKey({ name, id, token }: LockKey, ttlMs: number | undefined): Promise<LocalTicket> {
    const { log, table } = this.#options;
    let known: StoredTicket | undefined = table.get(name, id);
    if (known?.createRevision !== token) {
      // The table may lag behind the store.
      const read = await log.append({ kind: "read", name, id });
      known = read.done ? undefined : read.existing;
    }
    while (known?.createRevision === token) {
      const result: LocalTicket | NotAdopted = await this.#adopt(known, ttlMs ?? known.ticket.ttlMs);
      if (result instanceof LocalTicket) {
        await this.#checkHolds(result);
        return result;
      }
      known = result.existing;
    }
    throw notHeld();
  }

  /** A key is given at the grant only. But one could be forged for a ticket that waits, by whoever chose its id. */
  async #checkHolds({ name, id, modRevision }: LocalTicket): Promise<void> {
    const { table, progress } = this.#options;
    if (table.get(name, id)?.holds === true) {
      return;
    }
    await progress.reached(modRevision);
    if (table.get(name, id)?.holds !== true) {
      throw notHeld();
    }
  }

  /** Makes a ticket that holds this node's own, and starts its clock; or answers how the ticket stands instead. */
  async #adopt(stored: StoredTicket, ttlMs: number, takeover = false): Promise<LocalTicket | NotAdopted> {
    const { log, standing, locals } = this.#options;
    const { name, id, createRevision, modRevision } = stored;
    const ticket: Ticket = { ...stored.ticket, ttlMs, memberId: standing.requireMember() };
    const result = await this.#whileAdopting(stored, () =>
      log.append({ kind: "update", name, id, ticket, createRevision, modRevision }),
    );
    if (!result.done) {
      return result;
    }
    if (standing.requireMember() !== ticket.memberId) {
      // The node has joined anew meanwhile; the member that it was is gone, and the leader takes its tickets over.
      throw notAMember();
    }
    const current = locals.get(stored);
    if (takeover && current !== undefined && !current.closed) {
      // Its requester has come back here, and its own request goes on.
      return current;
    }
    const local = current === undefined || current.closed ? locals.add(name, id, ticket) : current;
    local.adopted(ticket, createRevision, result.revision);
    return local;
  }

  /** Knows, when the ticket's event comes before the answer, that somebody here has asked for it. */
  async #whileAdopting(ticket: StoredTicket, update: () => Promise<OpResult>): Promise<OpResult> {
    const key = ticketRefKey(ticket);
    this.#adopting.set(key, (this.#adopting.get(key) ?? 0) + 1);
    let done = false;
    try {
      const result = await update();
      ({ done } = result);
      return result;
    } finally {
      const left = (this.#adopting.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#adopting.set(key, left);
      } else {
        this.#adopting.delete(key);
        if (!done) {
          this.#keepIfOurs(ticket);
        }
      }
    }
  }

  /** An attempt whose outcome was unknown may have made the ticket this node's, which then has to run its clock. */
  #keepIfOurs(ticket: TicketRef): void {
    const { table, standing, locals } = this.#options;
    const entry = table.get(ticket.name, ticket.id);
    const ours = entry !== undefined && entry.ticket.memberId === standing.memberId && locals.get(ticket) === undefined;
    if (ours && !standing.stopping) {
      locals.keep(entry);
    }
  }
}

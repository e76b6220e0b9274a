import type { Logger } from "pino";
import type { LockName, StoredTicket, Ticket, TicketId, TicketLog } from "../log/ticket-log.js";
import type { Admission } from "./admission.js";
import type { Clock } from "./clock.js";
import type { Limits } from "./limits.js";
import { LocalTicket } from "./local-ticket.js";
import type { LocalTicketHost } from "./local-ticket-host.js";
import type { LockTable, TableTicket } from "./lock-table.js";
import type { Standing } from "./standing.js";
import type { TableProgress } from "./table-progress.js";
import { TicketMap, type TicketRef } from "./ticket-map.js";

/** Time between two attempts to remove a ticket while the store does not answer, in milliseconds. */
const discardRetryMs = 1_000;

/** What the tickets of a node are served with. */
export interface LocalTicketsOptions {
  readonly log: TicketLog;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly table: LockTable;
  readonly progress: TableProgress;
  readonly standing: Standing;
  readonly admission: Admission;
  /** Whether somebody here has asked for the ticket, which is on its way from another member. */
  readonly adopting: (ticket: TicketRef) => boolean;
}

/** The tickets that this node serves: what the table concludes goes to them, and what they leave is removed. */
export class LocalTickets {
  readonly #options: LocalTicketsOptions;
  readonly #host: LocalTicketHost;
  readonly #locals = new TicketMap<LocalTicket>();
  /** Tickets that hold, and are told so once the membership is sure again. */
  readonly #heldBack = new Set<LocalTicket>();

  constructor(options: LocalTicketsOptions) {
    const { log, clock, limits, logger, table, progress, standing } = options;
    this.#options = options;
    this.#host = {
      log,
      clock,
      waiterGraceMs: limits.waiterGraceMs,
      find: (name, id) => table.get(name, id),
      state: (name) => table.state(name),
      waiters: (name) => table.waiters(name),
      passed: (revision) => progress.passed(revision),
      serves: (local) => this.#serves(local),
      mayGrant: () => standing.mayGrant,
      holdBack: (local) => {
        this.#heldBack.add(local);
      },
      forget: (local) => {
        this.#forget(local);
      },
      discard: (local) => {
        void this.#discard(local);
      },
      expired: ({ name, ticket, createRevision }) => {
        logger.info({ lock: name, owner: ticket.owner, token: createRevision?.toString() }, "lock expired");
      },
    };
  }

  /** Number of tickets. */
  get size(): number {
    return this.#locals.size;
  }

  get(ticket: TicketRef): LocalTicket | undefined {
    return this.#locals.get(ticket);
  }

  values(): Iterable<LocalTicket> {
    return this.#locals.values();
  }

  /** Serves a ticket from now on, in place of what is served by that name and id. */
  add(name: LockName, id: TicketId, ticket: Ticket): LocalTicket {
    const local = new LocalTicket(this.#host, name, id, ticket);
    this.#locals.set(local);
    return local;
  }

  /** The table has a new or changed ticket. */
  put(ticket: TableTicket): void {
    const { standing, admission, adopting } = this.#options;
    const local = this.get(ticket);
    if (local !== undefined) {
      local.consider(ticket);
      if (ticket.ticket.memberId === local.ticket.memberId) {
        admission.seen(local);
      }
    } else if (ticket.ticket.memberId !== standing.memberId || standing.stopping || adopting(ticket)) {
      return;
    } else if (ticket.modRevision > ticket.createRevision) {
      this.keep(ticket);
    } else {
      // A request whose outcome was unknown took effect after all, and nobody waits for it any more.
      this.add(ticket.name, ticket.id, ticket.ticket).orphaned(ticket);
    }
  }

  /** The table has concluded that the ticket holds. */
  granted(ticket: TableTicket): void {
    this.get(ticket)?.consider(ticket);
  }

  /** The ticket is gone from the table, or from the log ahead of the table. */
  removed(ticket: TicketRef, createRevision: bigint): void {
    this.get(ticket)?.removed(createRevision);
  }

  /** The log was listed anew: what was removed meanwhile and was never in the table is gone, too. */
  listed(revision: bigint): void {
    for (const local of this.#locals.values()) {
      if (
        local.createRevision !== undefined &&
        local.modRevision <= revision &&
        this.#options.table.get(local.name, local.id) === undefined
      ) {
        local.removed(local.createRevision);
      }
    }
  }

  /** Serves a ticket that came here without a request: its requester may believe that it holds. */
  keep(entry: TableTicket): void {
    this.add(entry.name, entry.id, entry.ticket).kept(entry);
  }

  /** The membership is sure again, for now. */
  tellHeldBack(): void {
    const heldBack = [...this.#heldBack];
    this.#heldBack.clear();
    for (const local of heldBack) {
      const entry = this.#options.table.get(local.name, local.id);
      if (entry !== undefined) {
        local.consider(entry);
      }
    }
  }

  /** Removes a ticket from the log unless it has changed; what is returned is the ticket as it stands instead. */
  async remove({ name, id, modRevision }: LocalTicket): Promise<StoredTicket | undefined> {
    const result = await this.#options.log.append({ kind: "delete", name, id, condition: { modRevision } });
    return result.done ? undefined : result.existing;
  }

  /** Removes a ticket that nobody wants from the log, for as long as it takes while this node serves it. */
  async #discard(local: LocalTicket): Promise<void> {
    while (this.#serves(local)) {
      try {
        const existing = await this.remove(local);
        if (existing?.ticket.memberId !== local.ticket.memberId) {
          break;
        }
        local.modRevision = existing.modRevision;
      } catch {
        await new Promise<void>((resolve) => {
          this.#options.clock.after(discardRetryMs, resolve);
        });
      }
    }
    this.#forget(local);
  }

  #forget(local: LocalTicket): void {
    this.#heldBack.delete(local);
    if (this.#serves(local)) {
      this.#locals.delete(local);
      const entry = this.#options.table.get(local.name, local.id);
      if (entry !== undefined && entry.modRevision > local.modRevision) {
        // Another attempt at the same request took effect meanwhile.
        this.put(entry);
      }
    }
  }

  /** Another request for the same ticket may have its own local ticket since. */
  #serves(local: LocalTicket): boolean {
    return this.get(local) === local;
  }
}

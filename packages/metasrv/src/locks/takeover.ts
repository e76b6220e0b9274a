import type { Logger } from "pino";
import type { TicketLog } from "../log/ticket-log.js";
import type { Clock } from "./clock.js";
import type { LockTable, TableTicket } from "./lock-table.js";
import type { MemberTable } from "./member-table.js";

/** What the takeover works on. */
export interface TakeoverOptions {
  readonly log: TicketLog;
  readonly clock: Clock;
  readonly table: LockTable;
  readonly members: MemberTable;
  readonly logger: Logger;
  /** In what time the requester of a waiting ticket may come back at another member, in milliseconds. */
  readonly waiterGraceMs: number;
  /** Whether this node leads now. */
  readonly leads: () => boolean;
  /** Makes a ticket that holds this node's own, with a full TTL from then on. */
  readonly adopt: (ticket: TableTicket) => Promise<unknown>;
}

/** How many tickets are taken over at a time. */
const width = 1024;
const retryMs = 1_000;

/**
 * The leader's one duty: the tickets of members that are gone. Those that hold may have been told so, hence get a full
 * TTL from the takeover. Those that wait cannot have been told; they are removed unless their requesters come back
 * within the grace.
 */
export class Takeover {
  readonly #options: TakeoverOptions;
  /** Tickets that wait to be removed, and the revisions at which they were found: one that has changed since is spared. */
  readonly #doomed = new Map<TableTicket, bigint>();
  /** Sweeps asked for since the first that is not done. */
  #requests = 0;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** Looks for such tickets. To be called whenever members, leader or tickets changed in a way that may leave some. */
  sweep(): void {
    this.#requests++;
    if (this.#requests === 1) {
      void this.#run();
    }
  }

  async #run(): Promise<void> {
    const { logger } = this.#options;
    try {
      let served: number;
      do {
        served = this.#requests;
        await this.#takeOver();
      } while (this.#requests > served);
    } catch (error) {
      logger.warn(
        { err: error },
        "takeover of a gone member's tickets was interrupted; it goes on when the store answers",
      );
      this.#sweepLater();
    } finally {
      this.#requests = 0;
    }
  }

  #sweepLater(): void {
    if (this.#options.leads()) {
      this.#options.clock.after(retryMs, () => {
        this.sweep();
      });
    }
  }

  async #takeOver(): Promise<void> {
    const { table, logger, adopt, leads } = this.#options;
    if (!leads()) {
      return;
    }
    const holding: TableTicket[] = [];
    const waiting: TableTicket[] = [];
    for (const ticket of table.tickets()) {
      if (this.#orphaned(ticket) && this.#doomed.get(ticket) !== ticket.modRevision) {
        (ticket.holds ? holding : waiting).push(ticket);
      }
    }
    if (holding.length + waiting.length === 0) {
      return;
    }
    logger.info({ held: holding.length, waiting: waiting.length }, "taking over the tickets of members that are gone");
    this.#purgeLater(waiting);
    for (let start = 0; start < holding.length; start += width) {
      const orphans = holding.slice(start, start + width).filter((ticket) => this.#orphaned(ticket));
      await Promise.all(orphans.map(adopt));
    }
  }

  #purgeLater(tickets: readonly TableTicket[]): void {
    if (tickets.length === 0) {
      return;
    }
    // One that is elsewhere meanwhile, and left there too, gets the grace anew.
    const revisions = new Map(tickets.map((ticket) => [ticket, ticket.modRevision]));
    for (const [ticket, revision] of revisions) {
      this.#doomed.set(ticket, revision);
    }
    this.#options.clock.after(this.#options.waiterGraceMs, () => {
      void this.#purge(revisions);
    });
  }

  async #purge(revisions: ReadonlyMap<TableTicket, bigint>): Promise<void> {
    const { log, logger, leads } = this.#options;
    const tickets = [...revisions.keys()];
    try {
      for (let start = 0; start < tickets.length; start += width) {
        const orphans = tickets
          .slice(start, start + width)
          .filter((ticket) => leads() && this.#orphaned(ticket) && revisions.get(ticket) === ticket.modRevision);
        await Promise.all(
          orphans.map(({ name, id, modRevision }) =>
            log.append({ kind: "delete", name, id, condition: { modRevision } }),
          ),
        );
      }
    } catch (error) {
      logger.warn({ err: error }, "purge of a gone member's waits was interrupted; it goes on when the store answers");
      this.#sweepLater();
    } finally {
      for (const ticket of tickets) {
        if (this.#doomed.get(ticket) === revisions.get(ticket)) {
          this.#doomed.delete(ticket);
        }
      }
      if (tickets.some((ticket) => this.#orphaned(ticket))) {
        this.sweep();
      }
    }
  }

  #orphaned(ticket: TableTicket): boolean {
    const { table, members } = this.#options;
    return !members.has(ticket.ticket.memberId) && table.get(ticket.name, ticket.id) === ticket;
  }
}

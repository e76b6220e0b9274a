import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Fold } from "../fold/fold.js";
import type { Ticket } from "../fold/queue.js";
import type { CommandLog, CommandWaiter } from "../log/command-log.js";
import type { Command, Outcome } from "../model/command.js";
import { asLockError } from "../model/lock-errors.js";
import type { ClusterView } from "./cluster-view.js";

export interface TakeoverOptions {
  readonly log: Pick<CommandLog, "append">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fold: Pick<Fold, "tickets" | "get">;
  readonly cluster: Pick<ClusterView, "has">;
  /** How long the requester of a waiting ticket may take to come back at another member, in milliseconds. */
  readonly waiterGraceMs: number;
  /** Whether this node leads now. */
  readonly leads: () => boolean;
  /** Called with each ticket that holds and has become this node's own; it must get a full TTL. */
  readonly adopted: (ticket: Ticket) => void;
}

/** A ticket that will be removed, unless another member serves it by then. */
interface Doom {
  readonly ticket: Ticket;
  /** The member that is gone. */
  readonly memberId: string;
}

/** How many tickets are taken over at a time. */
const width = 1024;
const retryMs = 1_000;

/**
 * The leader takes over the tickets of members that are gone. Tickets that hold get a full TTL from the takeover on,
 * because their holders may have been told of the grant. The requesters of tickets that wait cannot have been told;
 * these tickets are removed, unless their requesters come back within the grace.
 */
export class Takeover {
  readonly #options: TakeoverOptions;
  /** Tickets that wait to be removed. */
  readonly #doomed = new Map<Ticket, Doom>();
  readonly #timers = new Set<Timer>();
  /** How often a sweep was asked for since the current one began, that one included. */
  #requests = 0;
  #closed = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** Looks for tickets of members that are gone. Must be called whenever the members or the leader have changed. */
  sweep(): void {
    this.#requests++;
    if (this.#requests === 1) {
      void this.#run();
    }
  }

  /** Ends everything that would happen later. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) {
      timer.cancel();
    }
    this.#timers.clear();
  }

  async #run(): Promise<void> {
    try {
      let served: number;
      do {
        served = this.#requests;
        await this.#takeOver();
      } while (this.#requests > served);
    } catch (error) {
      this.#interrupted(error);
    } finally {
      this.#requests = 0;
    }
  }

  #interrupted(error: unknown): void {
    asLockError(error);
    if (this.#options.leads()) {
      this.#options.logger.warn(
        { err: error },
        "takeover of a gone member's tickets was interrupted; it goes on when the store answers",
      );
      this.#later(retryMs, () => {
        this.sweep();
      });
    }
  }

  #later(delayMs: number, action: () => void): void {
    if (this.#closed) {
      return;
    }
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
  }

  async #takeOver(): Promise<void> {
    const { fold, cluster, logger, leads } = this.#options;
    if (!leads()) {
      return;
    }
    const holding: Ticket[] = [];
    const waiting: Ticket[] = [];
    for (const ticket of fold.tickets()) {
      if (!cluster.has(ticket.memberId) && this.#doomed.get(ticket)?.memberId !== ticket.memberId) {
        (ticket.holds ? holding : waiting).push(ticket);
      }
    }
    if (holding.length + waiting.length === 0) {
      return;
    }
    logger.info({ held: holding.length, waiting: waiting.length }, "taking over the tickets of members that are gone");
    this.#purgeLater(waiting);
    for (let start = 0; start < holding.length; start += width) {
      const orphans = holding.slice(start, start + width).filter((ticket) => this.#isOrphan(ticket));
      await Promise.all(orphans.map((ticket) => this.#adopt(ticket)));
    }
  }

  #adopt({ name, id, token, memberId }: Ticket): Promise<void> {
    const { fold, adopted } = this.#options;
    return this.#write({ kind: "adopt", name, id, token, memberId }, ({ kind }) => {
      // The ticket is this node's own now, even if the outcome comes too late for the promise.
      const ticket = fold.get({ name, id });
      if (kind === "done" && ticket?.token === token) {
        adopted(ticket);
      }
    });
  }

  #purgeLater(tickets: readonly Ticket[]): void {
    if (tickets.length === 0) {
      return;
    }
    const dooms = tickets.map((ticket) => ({ ticket, memberId: ticket.memberId }));
    for (const doom of dooms) {
      this.#doomed.set(doom.ticket, doom);
    }
    this.#later(this.#options.waiterGraceMs, () => {
      void this.#purge(dooms);
    });
  }

  async #purge(dooms: readonly Doom[]): Promise<void> {
    try {
      for (let start = 0; start < dooms.length; start += width) {
        const due = dooms.slice(start, start + width).filter((doom) => this.#options.leads() && this.#isDue(doom));
        await Promise.all(
          due.map(({ ticket: { name, id, token }, memberId }) =>
            this.#write({ kind: "remove", name, id, token, cause: "abandoned", memberId }),
          ),
        );
      }
    } catch (error) {
      this.#interrupted(error);
    } finally {
      for (const doom of dooms) {
        if (this.#doomed.get(doom.ticket) === doom) {
          this.#doomed.delete(doom.ticket);
        }
      }
      if (dooms.some(({ ticket }) => this.#isOrphan(ticket))) {
        this.sweep();
      }
    }
  }

  /**
   * Whether nobody has come back for the ticket. A ticket that another member has served meanwhile gets a new grace.
   */
  #isDue(doom: Doom): boolean {
    const { ticket, memberId } = doom;
    return this.#doomed.get(ticket) === doom && ticket.memberId === memberId && this.#isThere(ticket);
  }

  #write(command: Command, settled: (outcome: Outcome) => void = () => undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: CommandWaiter = {
        settled: (outcome) => {
          settled(outcome);
          resolve();
        },
        failed: reject,
        overdue: reject,
      };
      this.#options.log.append(command, waiter, "soon");
    });
  }

  #isOrphan(ticket: Ticket): boolean {
    return this.#isThere(ticket) && !this.#options.cluster.has(ticket.memberId);
  }

  #isThere(ticket: Ticket): boolean {
    return this.#options.fold.get(ticket) === ticket;
  }
}

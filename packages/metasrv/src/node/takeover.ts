import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Fold } from "../fold/fold.js";
import type { Ticket } from "../fold/ticket.js";
import type { CommandLog, CommandWaiter } from "../log/command-log.js";
import type { Command, Outcome } from "../model/command.js";
import { asLockError } from "../model/lock-errors.js";
import type { ClusterView } from "./cluster-view.js";

/** What the takeover works on. */
export interface TakeoverOptions {
  readonly log: Pick<CommandLog, "append">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fold: Pick<Fold, "tickets" | "get">;
  readonly cluster: Pick<ClusterView, "has">;
  /** In what time the requester of a waiting ticket may come back at another member, in milliseconds. */
  readonly waiterGraceMs: number;
  /** Whether this node leads now. */
  readonly leads: () => boolean;
  /** A ticket that holds is this node's own from now on, and gets a full TTL. */
  readonly adopted: (ticket: Ticket) => void;
}

/** A ticket is to be removed unless another member serves it by then. */
interface Doom {
  readonly ticket: Ticket;
  /** The member that was gone. */
  readonly memberId: string;
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
  /** Tickets that wait to be removed. */
  readonly #doomed = new Map<Ticket, Doom>();
  readonly #timers = new Set<Timer>();
  /** Sweeps asked for since the first that is not done. */
  #requests = 0;
  #closed = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** Looks for such tickets. To be called whenever members or leader have changed. */
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
      // Also when its outcome comes too late for whoever waits: the ticket is this node's now.
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

  /** Whether it is left where it was; one that another member has served meanwhile gets the grace anew. */
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

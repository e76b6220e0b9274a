import { TicketMap } from "../fold/ticket-map.js";
import type { CommandLog, CommandWaiter, Urgency } from "../log/command-log.js";
import type { RemoveCommand, RenewCommand } from "../model/command.js";
import { superseded } from "../model/lock-errors.js";
import type { TicketRef } from "../model/ticket-ref.js";

/** The renewals of one ticket that are on their way to the log. */
interface TicketRenewals extends TicketRef {
  count: number;
  /** Called once with true when one of them has taken effect, or with false when none has. */
  onDecided: ((renewed: boolean) => void) | undefined;
}

/**
 * Renewals, and removals of tickets that nobody here wants any more, on their way to the log. Another member may serve such a
 * ticket by then, and entries may overtake each other: a removal must not end what its requester was told to hold.
 */
export class UnderWay {
  readonly #log: Pick<CommandLog, "append">;
  readonly #removals = new TicketMap<TicketRef>();
  readonly #renewals = new TicketMap<TicketRenewals>();

  constructor(log: Pick<CommandLog, "append">) {
    this.#log = log;
  }

  /**
   * To be called before a ticket is served: if it came back here before its removal, that would end it.
   *
   * @throws LockError `superseded`, for which another member is asked, or this one later
   */
  requireNoRemoval(ticket: TicketRef): void {
    if (this.#removals.size > 0 && this.#removals.get(ticket) !== undefined) {
      throw superseded();
    }
  }

  /** Renews a ticket. Until the outcome is known, no removal of the ticket sets out. */
  renew(command: RenewCommand, waiter: CommandWaiter): void {
    const renewals = this.#renewalsOf(command);
    this.#log.append(
      command,
      {
        settled: (outcome) => {
          this.#renewalEnded(renewals, outcome.kind === "done");
          waiter.settled(outcome);
        },
        failed: (error) => {
          this.#renewalEnded(renewals, false);
          waiter.failed(error);
        },
        overdue: (error) => {
          waiter.overdue(error);
        },
      },
      "soon",
    );
  }

  /**
   * Removes a ticket that nobody here wants any more. The log may have more of the ticket than this node has read: that it
   * went to another member, and that its requester holds it and has it renewed here. So a renewal that is on its way
   * decides: who has the lock renewed keeps it.
   */
  remove(command: RemoveCommand, waiter: CommandWaiter, urgency: Urgency): void {
    const renewals = this.#renewals.get(command);
    if (renewals === undefined) {
      this.#log.append(command, this.#removal(command, waiter), urgency);
      return;
    }
    const { onDecided } = renewals;
    renewals.onDecided = (renewed) => {
      onDecided?.(renewed);
      if (renewed) {
        waiter.settled({ kind: "not-there" });
      } else {
        this.remove(command, waiter, urgency);
      }
    };
  }

  /** Notes that a ticket's removal is on its way, until its outcome is known. */
  #removal({ name, id }: TicketRef, waiter: CommandWaiter): CommandWaiter {
    const ref = { name, id };
    this.#removals.set(ref);
    return {
      settled: (outcome) => {
        this.#removals.delete(ref);
        waiter.settled(outcome);
      },
      failed: (error) => {
        this.#removals.delete(ref);
        waiter.failed(error);
      },
      overdue: (error) => {
        waiter.overdue(error);
      },
    };
  }

  /** Counts one more; {@link #renewalEnded} follows. */
  #renewalsOf({ name, id }: TicketRef): TicketRenewals {
    let renewals = this.#renewals.get({ name, id });
    if (renewals === undefined) {
      renewals = { name, id, count: 0, onDecided: undefined };
      this.#renewals.set(renewals);
    }
    renewals.count++;
    return renewals;
  }

  #renewalEnded(renewals: TicketRenewals, renewed: boolean): void {
    const isLast = --renewals.count === 0;
    if (isLast) {
      this.#renewals.delete(renewals);
    }
    if (renewed || isLast) {
      const { onDecided } = renewals;
      renewals.onDecided = undefined;
      onDecided?.(renewed);
    }
  }
}

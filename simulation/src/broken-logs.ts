import type { Clock } from "../../packages/metasrv/src/locks/clock.js";
import type {
  LogEvent,
  LogListener,
  LogListing,
  Member,
  MembershipListener,
  OpResult,
  StoredTicket,
  TicketLog,
  TicketOp,
} from "../../packages/metasrv/src/log/ticket-log.js";
import { WrappedLog } from "./wrapped-log.js";

/** The node believes to be a member for ever once it was one: nothing keeps it from telling a grant too late. */
export class NoLeaseGuard extends WrappedLog {
  override join(member: Member, listener: MembershipListener): Promise<void> {
    return super.join(member, {
      joined: (id) => {
        listener.joined(id);
      },
      extended: () => {
        listener.extended(Number.POSITIVE_INFINITY);
      },
      lost: () => {
        // Not heard of.
      },
    });
  }
}

/** After its membership has lapsed, the node goes on with all its tickets, timers and grants as the new member. */
export class SilentRejoin extends WrappedLog {
  override join(member: Member, listener: MembershipListener): Promise<void> {
    return super.join(member, {
      ...bound(listener),
      lost: () => {
        // The next `extended` lets it tell grants again, and it has never given its tickets up.
        listener.extended(0);
      },
    });
  }
}

/** Shows tickets of members that are gone with a TTL of 1 ms, as if nothing were left of it. */
export class TakeoverWithoutTtl extends WrappedLog {
  readonly #tickets = new Map<string, StoredTicket>();

  override open(listener: LogListener): Promise<void> {
    return super.open({
      reset: (listing) => {
        listener.reset(this.#shortened(listing));
      },
      apply: (events) => {
        listener.apply(events.flatMap((event) => this.#shorten(event)));
      },
    });
  }

  #shortened(listing: LogListing): LogListing {
    this.#tickets.clear();
    const members = new Set(listing.members.map(({ id }) => id));
    const tickets = listing.tickets.map((ticket) => (members.has(ticket.ticket.memberId) ? ticket : spent(ticket)));
    for (const ticket of tickets) {
      this.#tickets.set(`${ticket.name}/${ticket.id}`, ticket);
    }
    return { ...listing, tickets };
  }

  #shorten(event: LogEvent): LogEvent[] {
    if (event.kind === "ticket-put") {
      this.#tickets.set(`${event.name}/${event.id}`, event);
    } else if (event.kind === "ticket-deleted") {
      this.#tickets.delete(`${event.name}/${event.id}`);
    } else if (event.kind === "member-deleted") {
      const gone = [...this.#tickets.values()].filter(({ ticket }) => ticket.memberId === event.id);
      return [...gone.map((ticket) => ({ ...spent(ticket), kind: "ticket-put" as const })), event];
    }
    return [event];
  }
}

/** The leader removes the tickets of members that are gone, whether they hold or not. */
export class TakeoverThatPurges extends TakeoverWithoutTtl {
  override append(op: TicketOp): Promise<OpResult> {
    const takesOver = op.kind === "update" && op.ticket.ttlMs === spentTtlMs;
    return takesOver
      ? super.append({ kind: "delete", name: op.name, id: op.id, condition: { modRevision: op.modRevision } })
      : super.append(op);
  }
}

/** Renewals and adoptions overwrite whatever is there. */
export class UpdateWithoutRevision extends WrappedLog {
  override async append(op: TicketOp): Promise<OpResult> {
    let result = await super.append(op);
    while (op.kind === "update" && !result.done) {
      const { existing } = result;
      result = await super.append(
        existing === undefined
          ? { kind: "create", name: op.name, id: op.id, ticket: op.ticket, onlyIfFree: false }
          : { ...op, modRevision: existing.modRevision },
      );
    }
    return result;
  }
}

/** Removes a ticket whatever has become of it since: the expiry of a hold that was renewed elsewhere ends it. */
export class DeleteWithoutRevision extends WrappedLog {
  readonly #which: "modRevision" | "createRevision";

  constructor(below: TicketLog, which: "modRevision" | "createRevision") {
    super(below);
    this.#which = which;
  }

  override async append(op: TicketOp): Promise<OpResult> {
    let result = await super.append(op);
    while (op.kind === "delete" && this.#which in op.condition && !result.done && result.existing !== undefined) {
      const { modRevision } = result.existing;
      result = await super.append({ ...op, condition: { modRevision } });
    }
    return result;
  }
}

/** A ticket whose creation was not answered is not removed when it turns up. */
export class GhostsStay extends WrappedLog {
  readonly #unanswered = new Set<string>();

  override async append(op: TicketOp): Promise<OpResult> {
    const ticket = `${op.name}/${op.id}`;
    if (op.kind === "delete" && this.#unanswered.has(ticket)) {
      return { done: false, existing: undefined };
    }
    try {
      return await super.append(op);
    } catch (error) {
      if (op.kind === "create") {
        this.#unanswered.add(ticket);
      }
      throw error;
    }
  }
}

/** The TTL runs from the creation of the ticket on, while it waits too. */
export class TtlWhileWaiting extends WrappedLog {
  readonly #clock: Clock;

  constructor(below: TicketLog, clock: Clock) {
    super(below);
    this.#clock = clock;
  }

  override async append(op: TicketOp): Promise<OpResult> {
    const result = await super.append(op);
    if (op.kind === "create" && result.done) {
      this.#clock.after(op.ticket.ttlMs, () => {
        const { revision: modRevision } = result;
        super.append({ kind: "delete", name: op.name, id: op.id, condition: { modRevision } }).catch(ignore);
      });
    }
    return result;
  }
}

const spentTtlMs = 1;

function spent<Stored extends StoredTicket>(stored: Stored): Stored {
  return { ...stored, ticket: { ...stored.ticket, ttlMs: spentTtlMs } };
}

function bound(listener: MembershipListener): MembershipListener {
  return {
    joined: (id) => {
      listener.joined(id);
    },
    extended: (aliveUntilMs) => {
      listener.extended(aliveUntilMs);
    },
    lost: () => {
      listener.lost();
    },
  };
}

function ignore(): void {
  // The ticket then stays a little longer.
}

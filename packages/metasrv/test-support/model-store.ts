import type {
  LogEvent,
  LogListing,
  LockName,
  OpResult,
  StoredMember,
  StoredTicket,
  TicketOp,
} from "../src/log/ticket-log.js";

/** What a committed op changed. */
export interface Committed {
  readonly result: OpResult;
  readonly events: readonly LogEvent[];
}

/** The store behind a ticket log, as plainly as it can be written: one op a revision. */
export class ModelStore {
  revision = 100n;
  /** Told of every change, in order. */
  readonly subscribers: ((event: LogEvent) => void)[] = [];
  readonly #tickets = new Map<string, StoredTicket>();
  readonly #members = new Map<string, StoredMember>();

  get tickets(): readonly StoredTicket[] {
    return [...this.#tickets.values()];
  }

  get(name: string, id: string): StoredTicket | undefined {
    return this.#tickets.get(`${name}/${id}`);
  }

  /** The tickets of a lock, the oldest first. */
  queue(name: LockName): readonly StoredTicket[] {
    return this.tickets
      .filter((ticket) => ticket.name === name)
      .sort((a, b) => Number(a.createRevision - b.createRevision));
  }

  execute(op: TicketOp): Committed {
    const existing = this.get(op.name, op.id);
    const refused: Committed = { result: { done: false, existing }, events: [] };
    switch (op.kind) {
      case "create":
        return existing !== undefined || (op.onlyIfFree && this.queue(op.name).length > 0)
          ? refused
          : this.#put(op, this.revision + 1n);
      case "update":
        return existing?.modRevision === op.modRevision ? this.#put(op, existing.createRevision) : refused;
      case "delete": {
        const { condition } = op;
        const fits =
          "createRevision" in condition
            ? existing?.createRevision === condition.createRevision
            : existing?.modRevision === condition.modRevision;
        if (!fits) {
          return refused;
        }
        this.#tickets.delete(`${op.name}/${op.id}`);
        const revision = ++this.revision;
        const event: LogEvent = { kind: "ticket-deleted", name: op.name, id: op.id };
        return { result: { done: true, revision }, events: [this.#publish(event)] };
      }
      case "read":
        return refused;
    }
  }

  hasMember(id: string): boolean {
    return this.#members.has(id);
  }

  addMember(id: string): LogEvent {
    const member = { address: `${id}.example:3002`, version: "0.0.0", startedUnixMs: 0 };
    const stored = { id, member, createRevision: ++this.revision };
    this.#members.set(id, stored);
    return this.#publish({ kind: "member-put", ...stored });
  }

  removeMember(id: string): LogEvent {
    this.revision++;
    this.#members.delete(id);
    return this.#publish({ kind: "member-deleted", id });
  }

  listing(): LogListing {
    return { revision: this.revision, tickets: this.tickets, members: [...this.#members.values()] };
  }

  #put({ name, id, ticket }: Extract<TicketOp, { ticket: unknown }>, createRevision: bigint): Committed {
    const revision = ++this.revision;
    const stored: StoredTicket = { name, id, ticket, createRevision, modRevision: revision };
    this.#tickets.set(`${name}/${id}`, stored);
    return { result: { done: true, revision }, events: [this.#publish({ kind: "ticket-put", ...stored })] };
  }

  #publish(event: LogEvent): LogEvent {
    for (const subscriber of this.subscribers) {
      subscriber(event);
    }
    return event;
  }
}

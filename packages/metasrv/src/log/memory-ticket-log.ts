import type {
  LockName,
  LogEvent,
  LogListener,
  Member,
  MembershipListener,
  OpResult,
  StoredTicket,
  TicketId,
  TicketLog,
  TicketOp,
} from "./ticket-log.js";
import { LockError } from "../locks/lock-errors.js";

/** What a memory log can be given. */
export interface MemoryTicketLogOptions {
  /**
   * Unix time in microseconds at which the revisions start, so that fencing tokens rise across restarts of the process.
   * By default the system's.
   */
  readonly firstRevision?: bigint;
}

/**
 * A ticket log that lives as long as this process: the embedded default, with nothing to install. It commits what is
 * asked for in one turn of the event loop together, as the replicated logs do.
 */
export function createMemoryTicketLog(options: MemoryTicketLogOptions = {}): TicketLog {
  return new MemoryTicketLog(options.firstRevision ?? BigInt(Date.now()) * 1000n);
}

const memberId = "memory";

interface Pending {
  readonly op: TicketOp;
  readonly resolve: (result: OpResult) => void;
  readonly reject: (error: LockError) => void;
}

class MemoryTicketLog implements TicketLog {
  readonly #tickets = new Map<LockName, Map<TicketId, StoredTicket>>();
  #revision: bigint;
  #listener: LogListener | undefined;
  #pending: Pending[] = [];
  #events: LogEvent[] = [];
  #closed = false;

  constructor(firstRevision: bigint) {
    this.#revision = firstRevision;
  }

  open(listener: LogListener): Promise<void> {
    this.#listener = listener;
    listener.reset({ revision: this.#revision, tickets: [], members: [] });
    return Promise.resolve();
  }

  append(op: TicketOp): Promise<OpResult> {
    if (this.#closed) {
      return Promise.reject(closed());
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ op, resolve, reject });
      if (this.#pending.length === 1) {
        queueMicrotask(() => {
          this.#commit();
        });
      }
    });
  }

  lag(): undefined {
    return undefined;
  }

  join(member: Member, listener: MembershipListener): Promise<void> {
    listener.joined(memberId);
    listener.extended(Number.POSITIVE_INFINITY);
    this.#listener?.apply([{ kind: "member-put", id: memberId, member, createRevision: ++this.#revision }]);
    return Promise.resolve();
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#pending.splice(0)) {
      reject(closed());
    }
    return Promise.resolve();
  }

  #commit(): void {
    const batch = this.#pending;
    this.#pending = [];
    const results = batch.map(({ op }) => this.#execute(op));
    const events = this.#events;
    this.#events = [];
    if (events.length > 0) {
      this.#listener?.apply(events);
    }
    batch.forEach(({ resolve }, index) => {
      const result = results[index];
      if (result !== undefined) {
        resolve(result);
      }
    });
  }

  #execute(op: TicketOp): OpResult {
    const { name, id } = op;
    const tickets = this.#tickets.get(name);
    const existing = tickets?.get(id);
    switch (op.kind) {
      case "create":
        if (existing !== undefined || (op.onlyIfFree && tickets !== undefined)) {
          return { done: false, existing };
        }
        return this.#put(op.name, op.id, op.ticket, undefined);
      case "update":
        if (existing?.modRevision !== op.modRevision) {
          return { done: false, existing };
        }
        return this.#put(op.name, op.id, op.ticket, existing.createRevision);
      case "delete": {
        const fits =
          "createRevision" in op.condition
            ? existing?.createRevision === op.condition.createRevision
            : existing?.modRevision === op.condition.modRevision;
        if (!fits) {
          return { done: false, existing };
        }
        tickets?.delete(id);
        if (tickets?.size === 0) {
          this.#tickets.delete(name);
        }
        this.#events.push({ kind: "ticket-deleted", name, id });
        return { done: true, revision: ++this.#revision };
      }
      case "read":
        return { done: false, existing };
    }
  }

  #put(name: LockName, id: TicketId, ticket: StoredTicket["ticket"], createRevision: bigint | undefined): OpResult {
    const revision = ++this.#revision;
    const stored = { name, id, ticket, createRevision: createRevision ?? revision, modRevision: revision };
    const tickets = this.#tickets.get(name);
    if (tickets === undefined) {
      this.#tickets.set(name, new Map([[id, stored]]));
    } else {
      tickets.set(id, stored);
    }
    this.#events.push({ kind: "ticket-put", ...stored });
    return { done: true, revision };
  }
}

function closed(): LockError {
  return new LockError("shutting-down", "this node is shutting down, try another node");
}

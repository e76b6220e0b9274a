import type { IEvent } from "etcd3";
import { decodeKeyValue } from "../../packages/metasrv/src/log/etcd/etcd-codec.js";
import type { LockName, StoredTicket, TicketId } from "../../packages/metasrv/src/log/ticket-log.js";
import { storeKeys } from "./store/store-client.js";
import type { Revision } from "./store/simulated-store.js";

/** One ticket's life in the store, from its creation to its removal. */
export interface TicketLife {
  readonly name: LockName;
  readonly id: TicketId;
  readonly token: bigint;
  readonly owner: string;
  memberId: string;
  modRevision: bigint;
  /** When it came to be the first of its lock; undefined while it waits. */
  heldSinceMs: number | undefined;
  removedAtMs: number | undefined;
}

/** Told of every change as the history has it. */
export interface HistoryObserver {
  created(life: TicketLife, others: readonly TicketLife[]): void;
  changed(life: TicketLife): void;
  removed(life: TicketLife): void;
  member(id: string, lives: boolean): void;
}

/** What really happened in the store, revision by revision, whatever any node has heard of it. */
export class History {
  readonly #now: () => number;
  readonly #observer: HistoryObserver;
  /** The tickets that are there, by lock, the oldest first. */
  readonly #queues = new Map<LockName, TicketLife[]>();
  readonly #lives = new Map<string, TicketLife>();

  constructor(now: () => number, observer: HistoryObserver) {
    this.#now = now;
    this.#observer = observer;
  }

  commit({ events }: Revision): void {
    for (const event of events) {
      this.#apply(event);
    }
    for (const queue of this.#queues.values()) {
      const [first] = queue;
      if (first !== undefined) {
        first.heldSinceMs ??= this.#now();
      }
    }
  }

  /** The ticket that was created at the revision `token`, whether it is still there or not. */
  life(name: LockName, token: bigint): TicketLife | undefined {
    return this.#lives.get(`${name}/${token.toString()}`);
  }

  /** The tickets that are there, the oldest first. */
  queue(name: LockName): readonly TicketLife[] {
    return this.#queues.get(name) ?? [];
  }

  /** All tickets that are there. */
  tickets(): readonly TicketLife[] {
    return [...this.#queues.values()].flat();
  }

  #apply({ type, kv }: IEvent): void {
    const key = storeKeys.parse(kv.key);
    if (key?.kind === "member") {
      this.#observer.member(key.id, type === "Put");
    } else if (key !== undefined && type === "Delete") {
      this.#remove(key.name, key.id);
    } else {
      const decoded = decodeKeyValue(storeKeys, kv);
      if (decoded?.kind === "ticket") {
        this.#put(decoded);
      }
    }
  }

  #put({ name, id, ticket, createRevision: token, modRevision }: StoredTicket): void {
    const existing = this.#find(name, id);
    if (existing !== undefined) {
      existing.memberId = ticket.memberId;
      existing.modRevision = modRevision;
      this.#observer.changed(existing);
      return;
    }
    const { memberId, owner } = ticket;
    const life: TicketLife = {
      name,
      id,
      token,
      owner,
      memberId,
      modRevision,
      heldSinceMs: undefined,
      removedAtMs: undefined,
    };
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    this.#observer.created(life, queue);
    queue.push(life);
    this.#lives.set(`${name}/${token.toString()}`, life);
  }

  #remove(name: LockName, id: TicketId): void {
    const life = this.#find(name, id);
    if (life !== undefined) {
      life.removedAtMs = this.#now();
      const queue = this.#queues.get(name) ?? [];
      queue.splice(queue.indexOf(life), 1);
      this.#observer.removed(life);
    }
  }

  #find(name: LockName, id: TicketId): TicketLife | undefined {
    return this.#queues.get(name)?.find((life) => life.id === id);
  }
}

import { fromBinary } from "@bufbuild/protobuf";
import { BaseSchema } from "@metasrv/proto/metasrv/store/v1";
import { admits, ModelLog, type ModelShare, type ModelTicket } from "@metasrv/testing";
import type { LockName } from "../../packages/metasrv/src/model/lock-name.js";
import type { TicketId } from "../../packages/metasrv/src/model/ticket-id.js";
import type { Change, Revision } from "./store/simulated-store.js";
import { storeKeys } from "./store/store-client.js";

/** One ticket's life in the log, from its creation to its removal. */
export interface TicketLife {
  readonly name: LockName;
  readonly id: TicketId;
  readonly token: bigint;
  readonly owner: string;
  memberId: string;
  /** When it came to hold its lock; undefined while it waits. */
  heldSinceMs: number | undefined;
  removedAtMs: number | undefined;
}

/** Told every change of the log. */
export interface HistoryObserver {
  created(life: TicketLife, others: readonly TicketLife[]): void;
  changed(life: TicketLife): void;
  removed(life: TicketLife): void;
  member(id: string, lives: boolean): void;
}

/** What really happened in the log, revision by revision, whatever nodes have heard of it. */
export class History {
  readonly #now: () => number;
  readonly #observer: HistoryObserver;
  /** Absent until the log's base is there. */
  #model: ModelLog | undefined;
  readonly #lives = new Map<string, TicketLife>();
  /** For each lock: what its tickets took and allowed, after each of the last revisions. */
  readonly #queues = new Map<string, { readonly sinceMs: number; readonly queue: readonly ModelShare[] }[]>();

  constructor(now: () => number, observer: HistoryObserver) {
    this.#now = now;
    this.#observer = observer;
  }

  commit({ revision, events }: Revision): void {
    for (const event of events) {
      this.#apply(revision, event);
    }
    const names = new Set(this.#model?.tickets().map(({ name }) => name));
    for (const name of names) {
      for (const { token } of this.#model?.holders(name) ?? []) {
        const life = this.life(name, token);
        if (life !== undefined) {
          life.heldSinceMs ??= this.#now();
        }
      }
    }
    for (const name of [...names, ...this.#queues.keys()]) {
      const queue = (this.#model?.queue(name) ?? []).map(({ permits, limit }) => ({ permits, limit }));
      const before = this.#queues.get(name) ?? [];
      this.#queues.set(name, [...before.slice(-99), { sinceMs: this.#now(), queue }]);
    }
  }

  /** The ticket that was created with the token, whether it is still there or not. */
  life(name: string, token: bigint): TicketLife | undefined {
    return this.#lives.get(`${name}/${token.toString()}`);
  }

  /** The tickets that are there, the oldest first. */
  queue(name: LockName): readonly TicketLife[] {
    return this.#livesOf(this.#model?.queue(name) ?? []);
  }

  /** All tickets that are there. */
  tickets(): readonly TicketLife[] {
    return this.#livesOf(this.#model?.tickets() ?? []);
  }

  /** Whether a lock had room for a ticket at every moment since then, as far as that is remembered. */
  hadRoomSince(name: LockName, share: ModelShare, sinceMs: number): boolean {
    const all = this.#queues.get(name) ?? [];
    const first = all.findLastIndex((one) => one.sinceMs < sinceMs);
    if (first === -1 && all.length === 100) {
      return false;
    }
    return all.slice(Math.max(first, 0)).every(({ queue }) => admits(queue, share));
  }

  #livesOf(tickets: readonly ModelTicket[]): TicketLife[] {
    return tickets.flatMap(({ name, token }) => this.life(name, token) ?? []);
  }

  #apply(revision: bigint, { kind, kv }: Change): void {
    const key = storeKeys.parse(kv.key);
    if (key?.kind === "member") {
      this.#observer.member(key.memberId, kind === "put");
    } else if (key?.kind === "base" && kind === "put" && this.#model === undefined) {
      const { revisionOffset } = fromBinary(BaseSchema, kv.value);
      this.#model = new ModelLog(this.#modelObserver, revisionOffset);
    } else if (key?.kind === "entry" && kind === "put") {
      this.#model?.apply(key.memberId, key.sequence, revision, kv.value);
    }
  }

  readonly #modelObserver = {
    created: ({ name, id, token, owner, memberId }: ModelTicket, others: readonly ModelTicket[]) => {
      const life: TicketLife = {
        name: name as LockName,
        id: id as TicketId,
        token,
        owner,
        memberId,
        heldSinceMs: undefined,
        removedAtMs: undefined,
      };
      this.#observer.created(life, this.#livesOf(others));
      this.#lives.set(`${name}/${token.toString()}`, life);
    },
    changed: ({ name, token, memberId }: ModelTicket) => {
      const life = this.life(name, token);
      if (life !== undefined) {
        life.memberId = memberId;
        this.#observer.changed(life);
      }
    },
    removed: ({ name, token }: ModelTicket) => {
      const life = this.life(name, token);
      if (life !== undefined) {
        life.removedAtMs = this.#now();
        this.#observer.removed(life);
      }
    },
  };
}

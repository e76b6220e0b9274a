import { fromBinary } from "@bufbuild/protobuf";
import { BaseSchema } from "@metasrv/proto/metasrv/store/v1";
import { admits, ModelLog, type ModelPart, type ModelShare, type ModelTicket } from "@metasrv/testing";
import type { LockName, TicketId } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { Change, Revision } from "./store/simulated-store.js";
import { storeKeys } from "./store/store-client.js";

/** A ticket's stay in the queue of one of its locks. */
export interface PartLife {
  readonly name: LockName;
  /** When the queue came to admit it; undefined until then. */
  admittedSinceMs: number | undefined;
}

/** One ticket's life in the log, from its creation to its removal. */
export interface TicketLife {
  /** By this it is known: the first of its locks. */
  readonly name: LockName;
  readonly id: TicketId;
  readonly token: bigint;
  readonly owner: string;
  /** All its locks, in the order of their names. */
  readonly parts: readonly PartLife[];
  /** When it was created. */
  readonly sinceMs: number;
  memberId: string;
  /** When it came to hold all its locks; undefined while it waits for one of them. */
  heldSinceMs: number | undefined;
  removedAtMs: number | undefined;
  /** Whether it was removed by force. */
  forced: boolean;
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
  /** By each of their names and their token. */
  readonly #lives = new Map<string, TicketLife>();
  /** The last tickets that were removed. */
  #gone: readonly TicketLife[] = [];
  /** What the tickets of each lock took and allowed, after each of the last revisions. */
  #revisions: readonly { readonly sinceMs: number; readonly queues: ReadonlyMap<string, readonly ModelShare[]> }[] = [];

  constructor(now: () => number, observer: HistoryObserver) {
    this.#now = now;
    this.#observer = observer;
  }

  commit({ revision, events }: Revision): void {
    for (const event of events) {
      this.#apply(revision, event);
    }
    const model = this.#model;
    if (model === undefined) {
      return;
    }
    const nowMs = this.#now();
    const queues = new Map<string, readonly ModelShare[]>();
    for (const name of new Set(model.tickets.flatMap(({ parts }) => parts.map((part) => part.name)))) {
      queues.set(name, model.shares(name));
      for (const { token } of model.admitted(name)) {
        const part = this.#part(name, token);
        if (part !== undefined) {
          part.admittedSinceMs ??= nowMs;
        }
      }
    }
    for (const life of this.tickets()) {
      if (life.parts.every(({ admittedSinceMs }) => admittedSinceMs !== undefined)) {
        life.heldSinceMs ??= nowMs;
      }
    }
    this.#revisions = [...this.#revisions.slice(1 - remembered), { sinceMs: nowMs, queues }];
  }

  /** The ticket that was created with the token and asks for the lock, perhaps among others; whether it is still there or not. */
  life(name: string, token: bigint): TicketLife | undefined {
    return this.#lives.get(keyOf(name, token));
  }

  /** The tickets that are there and ask for a lock, the oldest first. */
  queue(name: LockName): readonly TicketLife[] {
    return this.#livesOf(this.#model?.queue(name) ?? []);
  }

  /** The first ticket that a lock's queue does not admit. */
  firstWaiting(name: LockName): TicketLife | undefined {
    return this.queue(name).find(({ token }) => this.#part(name, token)?.admittedSinceMs === undefined);
  }

  /** All tickets that are there. */
  tickets(): readonly TicketLife[] {
    return this.#livesOf(this.#model?.tickets ?? []);
  }

  /** The last tickets that were removed. */
  get gone(): readonly TicketLife[] {
    return this.#gone;
  }

  /** When a ticket came to have a lock to itself, with others or alone, perhaps while it waited for other locks. */
  admittedSinceMs(name: LockName, token: bigint): number | undefined {
    return this.#part(name, token)?.admittedSinceMs;
  }

  /** Whether there was room for a ticket in all its locks at every moment since then, as far as that is remembered. */
  hadRoomSince(parts: readonly ModelPart[], sinceMs: number): boolean {
    const all = this.#revisions;
    const first = all.findLastIndex((one) => one.sinceMs < sinceMs);
    if (first === -1 && all.length === remembered) {
      return false;
    }
    return all.slice(Math.max(first, 0)).every(({ queues }) => {
      return parts.every((part) => admits(queues.get(part.name) ?? [], part));
    });
  }

  #livesOf(tickets: readonly ModelTicket[]): TicketLife[] {
    return tickets.flatMap(({ name, token }) => this.life(name, token) ?? []);
  }

  #part(name: string, token: bigint): PartLife | undefined {
    return this.life(name, token)?.parts.find((part) => part.name === name);
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
    created: ({ name, id, token, owner, memberId, parts }: ModelTicket, others: readonly ModelTicket[]) => {
      const life: TicketLife = {
        name: name as LockName,
        id: id as TicketId,
        token,
        owner,
        parts: parts.map((part) => ({ name: part.name as LockName, admittedSinceMs: undefined })),
        sinceMs: this.#now(),
        memberId,
        heldSinceMs: undefined,
        removedAtMs: undefined,
        forced: false,
      };
      this.#observer.created(life, this.#livesOf(others));
      for (const part of parts) {
        this.#lives.set(keyOf(part.name, token), life);
      }
    },
    changed: ({ name, token, memberId }: ModelTicket) => {
      const life = this.life(name, token);
      if (life !== undefined) {
        life.memberId = memberId;
        this.#observer.changed(life);
      }
    },
    removed: ({ name, token }: ModelTicket, _place: bigint, forced: boolean) => {
      const life = this.life(name, token);
      if (life !== undefined) {
        life.removedAtMs = this.#now();
        life.forced = forced;
        this.#gone = [...this.#gone.slice(-19), life];
        this.#observer.removed(life);
      }
    },
  };
}

/** How many revisions are remembered. */
const remembered = 100;

function keyOf(name: string, token: bigint): string {
  return `${name}/${token.toString()}`;
}

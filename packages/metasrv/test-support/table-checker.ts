import { isDeepStrictEqual } from "node:util";
import type { LockTable, LockTableObserver, TableTicket } from "../src/locks/lock-table.js";
import type { LockName, LogEvent, StoredTicket } from "../src/log/ticket-log.js";
import type { ModelStore } from "./model-store.js";

/** A lock table, or something that should be one. */
export type Table = Pick<
  LockTable,
  "put" | "delete" | "reset" | "settle" | "get" | "first" | "waiters" | "size" | "tickets"
>;

/** A ticket's life as the observer was told of it. */
interface Life {
  put: boolean;
  granted: boolean;
  removed: boolean;
}

/**
 * Feeds a table what a model store does, and throws at the first conclusion that the model does not bear out. The model
 * is asked in the plainest way: of the tickets that are there, the one with the lowest create revision holds.
 */
export class TableChecker {
  readonly table: Table;
  /** Tokens granted, lock by lock. */
  readonly grants = new Map<LockName, bigint[]>();
  readonly #model: ModelStore;
  readonly #lives = new Map<string, Life>();
  #told = 0;
  #settling = false;

  constructor(model: ModelStore, create: (observer: LockTableObserver) => Table) {
    this.#model = model;
    this.table = create({
      put: (ticket) => {
        this.#put(ticket);
      },
      granted: (ticket) => {
        this.#granted(ticket);
      },
      removed: (ticket) => {
        this.#removed(ticket);
      },
    });
  }

  /** Everything up to the model's present arrives as events. */
  apply(events: readonly LogEvent[], names: readonly LockName[]): void {
    for (const event of events) {
      if (event.kind === "ticket-put") {
        this.table.put(event);
      } else if (event.kind === "ticket-deleted") {
        this.table.delete(event.name, event.id);
      }
    }
    this.#settle(names);
  }

  /** The model's present is listed, in an order that says nothing. */
  relist(names: readonly LockName[]): void {
    this.table.reset(this.#model.tickets.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)));
    this.#settle(names);
  }

  /** Lists what the table knows already; nothing may come of it. */
  relistInVain(names: readonly LockName[]): void {
    const told = this.#told;
    this.relist(names);
    expectSame("conclusions of a listing that shows nothing new", this.#told - told, 0);
  }

  #settle(names: readonly LockName[]): void {
    this.#settling = true;
    this.table.settle();
    this.#settling = false;
    for (const name of names) {
      this.#compare(name, this.#model.queue(name));
    }
    expectSame("size", this.table.size, this.#model.tickets.length);
    for (const [key, life] of this.#lives) {
      const [name = "", id = "", createRevision = ""] = key.split("/");
      const lives = this.#model.get(name, id)?.createRevision === BigInt(createRevision);
      expectSame(`${key} removed`, life.removed, !lives);
    }
  }

  #compare(name: LockName, queue: readonly StoredTicket[]): void {
    const [head] = queue;
    const tickets = [...this.table.tickets()].filter((ticket) => ticket.name === name);
    expectSame(`I1: holders of ${name}`, tickets.filter(({ holds }) => holds).map(keyOf), head ? [keyOf(head)] : []);
    expectSame(`queue of ${name}`, tickets.map(keyOf), queue.map(keyOf));
    const first = this.table.first(name);
    expectSame(`first of ${name}`, first && keyOf(first), head && keyOf(head));
    expectSame(`waiters of ${name}`, this.table.waiters(name), Math.max(0, queue.length - 1));
    for (const expected of queue) {
      const { ticket, modRevision } = this.table.get(name, expected.id) ?? {};
      expectSame(
        `content of ${keyOf(expected)}`,
        { ticket, modRevision },
        { ticket: expected.ticket, modRevision: expected.modRevision },
      );
    }
  }

  #put(ticket: TableTicket): void {
    this.#told++;
    const life = this.#lifeOf(ticket);
    life.put = true;
    expectSame(`${keyOf(ticket)} put after its removal`, life.removed, false);
  }

  #granted(ticket: TableTicket): void {
    this.#told++;
    const { name, createRevision } = ticket;
    const [head] = this.#model.queue(name);
    expectSame(`granted to ${keyOf(ticket)} while settling`, this.#settling, true);
    expectSame("I2: granted to the ticket that holds by the model", keyOf(ticket), head && keyOf(head));
    const grants = this.grants.get(name) ?? [];
    const last = grants.at(-1) ?? 0n;
    if (createRevision <= last) {
      throw new Error(`I3: token ${createRevision.toString()} of ${name} was granted after token ${last.toString()}`);
    }
    this.grants.set(name, [...grants, createRevision]);
    const life = this.#lifeOf(ticket);
    expectSame(`${keyOf(ticket)} granted before`, life.granted, false);
    expectSame(`${keyOf(ticket)} put before its grant`, life.put, true);
    life.granted = true;
  }

  #removed(ticket: TableTicket): void {
    this.#told++;
    const life = this.#lifeOf(ticket);
    expectSame(`${keyOf(ticket)} removed before`, life.removed, false);
    life.removed = true;
  }

  #lifeOf(ticket: TableTicket): Life {
    const key = keyOf(ticket);
    const life = this.#lives.get(key) ?? { put: false, granted: false, removed: false };
    this.#lives.set(key, life);
    return life;
  }
}

/** @throws Error that says what differs */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) {
    throw new Error(`${what}: expected ${show(expected)}, got ${show(actual)}`);
  }
}

function keyOf({ name, id, createRevision }: StoredTicket): string {
  return `${name}/${id}/${createRevision.toString()}`;
}

function show(value: unknown): string {
  return value === undefined
    ? "nothing"
    : JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? part.toString() : part));
}

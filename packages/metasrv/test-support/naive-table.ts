import type { LockTableObserver, TableTicket } from "../src/locks/lock-table.js";
import type { LockName, StoredTicket, TicketId } from "../src/log/ticket-log.js";
import type { Table } from "./table-checker.js";

/** What is wrong with a table on purpose. */
export type Flaw =
  | "orders by id"
  | "grants to the second"
  | "grants again after a listing"
  | "overlooks removals in a listing"
  | "takes a ticket created again for the old one"
  | "concludes on every single change";

type Entry = { -readonly [Key in keyof TableTicket]: TableTicket[Key] };

/** The lock table written without care for speed, and with a flaw if one is asked for. */
export class NaiveTable implements Table {
  readonly #observer: LockTableObserver;
  readonly #flaw: Flaw | undefined;
  #entries: Entry[] = [];

  constructor(observer: LockTableObserver, flaw?: Flaw) {
    this.#observer = observer;
    this.#flaw = flaw;
  }

  get size(): number {
    return this.#entries.length;
  }

  get(name: LockName, id: TicketId): TableTicket | undefined {
    return this.#entries.find((entry) => entry.name === name && entry.id === id);
  }

  first(name: LockName): TableTicket | undefined {
    return this.#queue(name)[0];
  }

  waiters(name: LockName): number {
    return this.#queue(name).filter(({ holds }) => !holds).length;
  }

  tickets(): Generator<TableTicket> {
    return this.#all();
  }

  put(stored: StoredTicket): void {
    const before = this.#entries.find(({ name, id }) => name === stored.name && id === stored.id);
    if (before !== undefined && this.#same(before, stored)) {
      Object.assign(before, stored);
      this.#observer.put(before);
    } else {
      this.delete(stored.name, stored.id);
      const entry = { ...stored, holds: false };
      this.#entries.push(entry);
      this.#observer.put(entry);
    }
    if (this.#flaw === "concludes on every single change") {
      this.settle();
    }
  }

  delete(name: LockName, id: TicketId): void {
    const entry = this.get(name, id);
    if (entry !== undefined) {
      this.#entries = this.#entries.filter((other) => other !== entry);
      this.#observer.removed(entry);
    }
  }

  reset(listing: readonly StoredTicket[]): void {
    const listed = (entry: Entry) =>
      listing.some((stored) => stored.id === entry.id && stored.name === entry.name && this.#same(entry, stored));
    if (this.#flaw !== "overlooks removals in a listing") {
      for (const { name, id } of this.#entries.filter((entry) => !listed(entry))) {
        this.delete(name, id);
      }
    }
    for (const stored of listing) {
      if (this.get(stored.name, stored.id)?.modRevision !== stored.modRevision) {
        this.put(stored);
      }
    }
    if (this.#flaw === "grants again after a listing") {
      for (const entry of this.#entries) {
        entry.holds = false;
      }
    }
  }

  settle(): void {
    for (const name of new Set(this.#entries.map((entry) => entry.name))) {
      const queue = this.#queue(name);
      const next = queue[this.#flaw === "grants to the second" ? 1 : 0] ?? queue[0];
      if (next !== undefined && !queue.some(({ holds }) => holds)) {
        next.holds = true;
        this.#observer.granted(next);
      }
    }
  }

  #same(entry: Entry, stored: StoredTicket): boolean {
    return (
      entry.createRevision === stored.createRevision || this.#flaw === "takes a ticket created again for the old one"
    );
  }

  *#all(): Generator<TableTicket> {
    for (const name of new Set(this.#entries.map((entry) => entry.name))) {
      yield* this.#queue(name);
    }
  }

  #queue(name: LockName): Entry[] {
    const queue = this.#entries.filter((entry) => entry.name === name);
    return this.#flaw === "orders by id"
      ? queue.sort((a, b) => a.id.localeCompare(b.id))
      : queue.sort((a, b) => Number(a.createRevision - b.createRevision));
  }
}

import { HashTable } from "@metasrv/wire";
import { hashOfId, type TicketId, type TicketRef } from "../model/ticket-ref.js";

/** Growing at once, a table of a million tickets would stop everything else for a third of a second. */
export const partsOfManyTickets = 256;

/** One string for a ticket's name and id; all ids have the same length. */
export function ticketRefKey({ name, id }: TicketRef): string {
  return id + name;
}

/**
 * One entry for each ticket. Looked up by the id alone, as a key of name and id would have to be made and hashed each time;
 * tickets of one id and several names, which no well-behaved requester makes, are kept aside.
 */
export class TicketMap<Entry extends TicketRef> {
  readonly #entries = new HashTable<TicketId, Entry>(hashOfId, partsOfManyTickets);
  /** Those whose id was taken by a ticket of another name, by {@link ticketRefKey}. */
  readonly #others = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size + this.#others.size;
  }

  get(ticket: TicketRef): Entry | undefined {
    const entry = this.#entries.get(ticket.id);
    if (entry?.name === ticket.name) {
      return entry;
    }
    return this.#others.size > 0 ? this.#others.get(ticketRefKey(ticket)) : undefined;
  }

  /** Adds an entry, in place of the one of the same ticket. */
  set(entry: Entry): void {
    const first = this.#entries.get(entry.id);
    if (first === undefined ? !this.#isAside(entry) : first.name === entry.name) {
      this.#entries.set(entry.id, entry);
    } else {
      this.#others.set(ticketRefKey(entry), entry);
    }
  }

  /** Adds entries of different tickets to an empty map: without looking each up, unless some share an id. */
  addAll(entries: readonly Entry[]): void {
    for (const part of this.#entries.inParts(entries, ({ id }) => id)) {
      for (const entry of part) {
        this.#entries.set(entry.id, entry);
      }
    }
    if (this.#entries.size < entries.length) {
      this.#entries.clear();
      for (const entry of entries) {
        this.set(entry);
      }
    }
  }

  delete(ticket: TicketRef): void {
    if (this.#entries.get(ticket.id)?.name === ticket.name) {
      this.#entries.delete(ticket.id);
    } else {
      this.#others.delete(ticketRefKey(ticket));
    }
  }

  *values(): Generator<Entry> {
    yield* this.#entries.values();
    yield* this.#others.values();
  }

  #isAside(ticket: TicketRef): boolean {
    return this.#others.size > 0 && this.#others.has(ticketRefKey(ticket));
  }
}

import type { TicketId, TicketRef } from "../model/ticket-ref.js";

const shardCount = 256;

/**
 * A map in parts. A `Map` copies all its entries at once each time its space is used up, and removed entries use up space
 * too: with a million entries that takes a third of a second, every 50,000 locks. The copy of one part takes a
 * millisecond.
 */
export class ShardedMap<Key extends string, Value> {
  readonly #shards = Array.from({ length: shardCount }, () => new Map<Key, Value>());
  readonly #hash: (key: Key) => number;
  #size = 0;

  /** @param hash - spreads keys over the parts: its lowest 8 bits say which */
  constructor(hash: (key: Key) => number) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#size;
  }

  get(key: Key): Value | undefined {
    return this.#shardOf(key).get(key);
  }

  has(key: Key): boolean {
    return this.#shardOf(key).has(key);
  }

  /** Adds an entry, or replaces the one of the same key. */
  set(key: Key, value: Value): void {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  delete(key: Key): void {
    if (this.#shardOf(key).delete(key)) {
      this.#size--;
    }
  }

  clear(): void {
    for (const shard of this.#shards) {
      shard.clear();
    }
    this.#size = 0;
  }

  /** Items by the parts that their keys belong to: adding many is faster part by part, since one fits the processor's cache. */
  inParts<Item>(items: readonly Item[], keyOf: (item: Item) => Key): readonly (readonly Item[])[] {
    const parts = this.#shards.map((): Item[] => []);
    for (const item of items) {
      parts[this.#hash(keyOf(item)) & (shardCount - 1)]?.push(item);
    }
    return parts;
  }

  /** All values, in no particular order. Entries may be added and removed meanwhile. */
  *values(): Generator<Value> {
    for (const shard of this.#shards) {
      yield* shard.values();
    }
  }

  #shardOf(key: Key): Map<Key, Value> {
    const shard = this.#shards[this.#hash(key) & (shardCount - 1)];
    if (shard === undefined) {
      throw new Error("a key has no shard");
    }
    return shard;
  }
}

/** One string for a ticket's name and id; all ids have the same length. */
export function ticketRefKey({ name, id }: TicketRef): string {
  return id + name;
}

/**
 * One entry for each ticket. Looked up by the id alone, as a key of name and id would have to be made and hashed each time;
 * tickets of one id and several names, which no well-behaved requester makes, are kept aside.
 */
export class TicketMap<Entry extends TicketRef> {
  readonly #entries = new ShardedMap<TicketId, Entry>(lastByte);
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

/** Ids are random, or count: either way their last byte differs. */
function lastByte(id: TicketId): number {
  return id.charCodeAt(id.length - 1);
}

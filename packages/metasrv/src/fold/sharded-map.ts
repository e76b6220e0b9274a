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

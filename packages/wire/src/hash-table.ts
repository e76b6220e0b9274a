interface Entry<Key, Value> {
  readonly key: Key;
  readonly hash: number;
  value: Value;
  /** The next one in its chain. */
  next: Entry<Key, Value> | undefined;
}

const firstCapacity = 4;

/** A longer chain comes of keys that were chosen for their hashes. */
const longestChain = 16;

/**
 * Values by keys, for what comes and goes quickly.
 *
 * A `Map` makes itself anew for every few entries that were added and deleted, and its old table points to the new one. Once V8
 * has moved one table to the old generation, it moves each that follows, too, with all that they hold. This table makes itself
 * anew only when it grows, and then one part of it. It does not shrink.
 */
export class HashTable<Key extends string | number, Value> {
  readonly #hashOf: (key: Key) => number;
  readonly #parts: readonly Part<Key, Value>[];
  /** How many of a hash's lowest bits say which part has the key. */
  readonly #partBits: number;
  /** What would make a chain too long: chosen keys must not make the table slow. */
  #crowded: Map<Key, Value> | undefined;
  #size = 0;

  /**
   * @param hashOf - gives a whole number for a key; its lowest bits should differ most
   * @param parts - a power of two. Growing stops everything else for as long as it takes to go through a part
   */
  constructor(hashOf: (key: Key) => number, parts = 1) {
    this.#hashOf = hashOf;
    this.#parts = Array.from({ length: parts }, () => new Part<Key, Value>());
    this.#partBits = Math.log2(parts);
  }

  get size(): number {
    return this.#size;
  }

  get(key: Key): Value | undefined {
    const hash = this.#hashOf(key);
    const entry = this.#partOf(hash).find(key, hash >> this.#partBits);
    return entry === undefined ? this.#crowded?.get(key) : entry.value;
  }

  has(key: Key): boolean {
    const hash = this.#hashOf(key);
    return this.#partOf(hash).find(key, hash >> this.#partBits) !== undefined || this.#crowded?.has(key) === true;
  }

  /** Adds an entry, or replaces the value of the same key. */
  set(key: Key, value: Value): void {
    const hash = this.#hashOf(key);
    const part = this.#partOf(hash);
    const entry = part.find(key, hash >> this.#partBits);
    if (entry !== undefined) {
      entry.value = value;
    } else if (this.#crowded?.has(key) === true) {
      this.#crowded.set(key, value);
    } else {
      if (!part.add(key, hash >> this.#partBits, value)) {
        this.#crowded ??= new Map();
        this.#crowded.set(key, value);
      }
      this.#size++;
    }
  }

  /** @returns whether it was there */
  delete(key: Key): boolean {
    const hash = this.#hashOf(key);
    const deleted = this.#partOf(hash).delete(key, hash >> this.#partBits) || this.#crowded?.delete(key) === true;
    this.#size -= deleted ? 1 : 0;
    return deleted;
  }

  clear(): void {
    for (const part of this.#parts) {
      part.clear();
    }
    this.#crowded = undefined;
    this.#size = 0;
  }

  /**
   * All values, in no particular order. Entries may be added and deleted meanwhile: what is deleted before its turn is left out,
   * and what is added may be.
   */
  *values(): Generator<Value> {
    for (const part of this.#parts) {
      for (const entry of part.entries()) {
        if (part.find(entry.key, entry.hash) === entry) {
          yield entry.value;
        }
      }
    }
    if (this.#crowded !== undefined) {
      yield* this.#crowded.values();
    }
  }

  /** Items by the parts that their keys belong to: adding many is faster part by part, since one fits the processor's cache. */
  inParts<Item>(items: readonly Item[], keyOf: (item: Item) => Key): readonly (readonly Item[])[] {
    const parts = this.#parts.map((): Item[] => []);
    for (const item of items) {
      parts[this.#hashOf(keyOf(item)) & (parts.length - 1)]?.push(item);
    }
    return parts;
  }

  #partOf(hash: number): Part<Key, Value> {
    const part = this.#parts[hash & (this.#parts.length - 1)];
    if (part === undefined) {
      throw new Error("a key belongs to no part of its table");
    }
    return part;
  }
}

class Part<Key, Value> {
  /** A power of two of them. */
  #chains = emptyChains<Key, Value>(firstCapacity);
  #size = 0;

  find(key: Key, hash: number): Entry<Key, Value> | undefined {
    let entry = this.#chains[hash & (this.#chains.length - 1)];
    while (entry !== undefined && (entry.hash !== hash || entry.key !== key)) {
      entry = entry.next;
    }
    return entry;
  }

  /** Adds an entry whose key is not there, unless its chain is too long. @returns whether it is there now */
  add(key: Key, hash: number, value: Value): boolean {
    if (this.#size === this.#chains.length) {
      this.#grow();
    }
    const index = hash & (this.#chains.length - 1);
    const first = this.#chains[index];
    let length = 0;
    for (let entry = first; entry !== undefined; entry = entry.next) {
      length++;
    }
    if (length === longestChain) {
      return false;
    }
    this.#chains[index] = { key, hash, value, next: first };
    this.#size++;
    return true;
  }

  delete(key: Key, hash: number): boolean {
    const index = hash & (this.#chains.length - 1);
    let previous: Entry<Key, Value> | undefined;
    let entry = this.#chains[index];
    while (entry !== undefined && (entry.hash !== hash || entry.key !== key)) {
      previous = entry;
      entry = entry.next;
    }
    if (entry === undefined) {
      return false;
    }
    if (previous === undefined) {
      this.#chains[index] = entry.next;
    } else {
      previous.next = entry.next;
    }
    // What is gone must not keep others in memory.
    entry.next = undefined;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#chains = emptyChains(firstCapacity);
    this.#size = 0;
  }

  /** All that are there now. */
  entries(): Entry<Key, Value>[] {
    const entries: Entry<Key, Value>[] = [];
    for (let entry of this.#chains) {
      for (; entry !== undefined; entry = entry.next) {
        entries.push(entry);
      }
    }
    return entries;
  }

  #grow(): void {
    const entries = this.entries();
    this.#chains = emptyChains(2 * this.#chains.length);
    for (const entry of entries) {
      const index = entry.hash & (this.#chains.length - 1);
      entry.next = this.#chains[index];
      this.#chains[index] = entry;
    }
  }
}

function emptyChains<Key, Value>(count: number): (Entry<Key, Value> | undefined)[] {
  return new Array<undefined>(count).fill(undefined);
}

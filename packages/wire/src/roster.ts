/** Something that a {@link Roster} can hold. It is in one roster at a time. */
export interface RosterMember {
  /** Its place in the roster. Only the roster uses it. */
  rosterPlace: number;
}

/**
 * A set of things that come and go quickly.
 *
 * A `Set` makes itself anew for every few hundred that were added and deleted. Once V8 has moved the old table to the
 * old generation, that table keeps alive what it held. With 512 calls in flight, half of all processor time went into
 * copying what was long over.
 */
export class Roster<T extends RosterMember> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.rosterPlace = this.#members.length;
    this.#members.push(member);
  }

  /** Does nothing if it is not there. */
  delete(member: T): void {
    const place = member.rosterPlace;
    if (this.#members[place] !== member) {
      return;
    }
    const last = this.#members.pop();
    if (last === undefined || last === member) {
      return;
    }
    this.#members[place] = last;
    last.rosterPlace = place;
  }

  /** All that are there now, in no particular order. */
  all(): T[] {
    return [...this.#members];
  }
}

const firstCapacity = 64;
const lastNumber = 2 ** 32 - 1;

/**
 * Values under numbers from 1 to 2^32 - 1. Numbers are given out in rising order, and from the beginning again when
 * they are used up. It is not a `Map`, for the reason that `Roster` gives.
 */
export class NumberTable<T> {
  /** A number's lowest bits are its slot. Only numbers whose slot is free are given out. */
  #numbers = new Uint32Array(firstCapacity);
  #values: (T | undefined)[] = new Array<undefined>(firstCapacity).fill(undefined);
  #size = 0;
  #last: number;

  /** @param last - the number before the first one that is given out */
  constructor(last = 0) {
    this.#last = last;
  }

  get size(): number {
    return this.#size;
  }

  /** A number that is not in use. It stays unused until a value is {@link set} under it. */
  next(): number {
    do {
      this.#last = this.#last === lastNumber ? 1 : this.#last + 1;
    } while (this.#numbers[this.#slot(this.#last)] !== 0);
    return this.#last;
  }

  get(number: number): T | undefined {
    const slot = this.#slot(number);
    return this.#numbers[slot] === number ? this.#values[slot] : undefined;
  }

  /** @param number - the one that {@link next} gave last, or one that is in use */
  set(number: number, value: T): void {
    const slot = this.#slot(number);
    if (this.#numbers[slot] !== number) {
      this.#size++;
    }
    this.#numbers[slot] = number;
    this.#values[slot] = value;
    // At least half of the slots are free, so that a free number is never far.
    if (2 * this.#size > this.#numbers.length) {
      this.#grow();
    }
  }

  delete(number: number): void {
    const slot = this.#slot(number);
    if (this.#numbers[slot] !== number) {
      return;
    }
    this.#numbers[slot] = 0;
    this.#values[slot] = undefined;
    this.#size--;
  }

  /** All values, with their numbers. */
  entries(): [number: number, value: T][] {
    const entries: [number, T][] = [];
    this.#numbers.forEach((number, slot) => {
      const value = this.#values[slot];
      if (number !== 0 && value !== undefined) {
        entries.push([number, value]);
      }
    });
    return entries;
  }

  #slot(number: number): number {
    return number & (this.#numbers.length - 1);
  }

  #grow(): void {
    const entries = this.entries();
    const capacity = 2 * this.#numbers.length;
    this.#numbers = new Uint32Array(capacity);
    this.#values = new Array<undefined>(capacity).fill(undefined);
    // No two numbers get the same slot here: they differed in the bits that made their old slots, and those are among
    // the bits that make the new ones.
    for (const [number, value] of entries) {
      const slot = this.#slot(number);
      this.#numbers[slot] = number;
      this.#values[slot] = value;
    }
  }
}

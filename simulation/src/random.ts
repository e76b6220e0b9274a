/** The random numbers of one run all come from one seed: the same seed gives the same run. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number) {
    this.#a = mixed(seed);
    this.#b = mixed(this.#a + 0x9e3779b9);
    this.#c = mixed(this.#b + 0x9e3779b9);
    for (let turn = 0; turn < 12; turn++) {
      this.next();
    }
  }

  /** At least 0, less than 1. The generator is sfc32. */
  next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  }

  /** A whole number, at least 0 and less than `below`. */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) {
      throw new Error("there is nothing to pick from");
    }
    return items[this.int(items.length)] as Item;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.int(256));
  }

  /** Another generator. Its numbers do not depend on how many are drawn from this one. */
  fork(): Random {
    return new Random(this.int(2 ** 32));
  }
}

function mixed(seed: number): number {
  let hash = seed | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

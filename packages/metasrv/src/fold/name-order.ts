import sorted from "sorted-btree";
import type { LockName } from "../model/ticket-ref.js";

/**
 * The names of a table's locks in their order, for those who list them. A million names are not put in order in one turn:
 * {@link step} takes some of them at a time, while names go on coming and going.
 */
export class NameOrder {
  readonly #names = new sorted.default<LockName, undefined>(undefined, compare);
  readonly #rest: Iterator<{ readonly name: LockName }>;
  #isComplete = false;

  /** @param locks - all that there are; may change while they are walked through */
  constructor(locks: Iterable<{ readonly name: LockName }>) {
    this.#rest = locks[Symbol.iterator]();
  }

  /** Whether all names are in order. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Puts up to so many more names in order. */
  step(count: number): void {
    for (let taken = 0; taken < count && !this.#isComplete; taken++) {
      const next = this.#rest.next();
      if (next.done === true) {
        this.#isComplete = true;
      } else {
        this.add(next.value.name);
      }
    }
  }

  /** A lock has its first ticket. */
  add(name: LockName): void {
    this.#names.set(name, undefined);
  }

  /** A lock has no ticket any more. */
  delete(name: LockName): void {
    this.#names.delete(name);
  }

  /** The names from this one on, in order. They must not change meanwhile. */
  from(name: LockName): IterableIterator<LockName> {
    return this.#names.keys(name);
  }
}

/** By bytes: a name has a character for each. */
function compare(a: LockName, b: LockName): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

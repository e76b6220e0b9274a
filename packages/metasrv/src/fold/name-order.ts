import sorted from "sorted-btree";
import type { LockName } from "../model/ticket-ref.js";

/** A lock whose name is put in order. */
export interface NamedLock {
  readonly name: LockName;
  /** The mark of the order that its name is in, or was; undefined if it is in none. */
  orderMark: object | undefined;
}

/** So many names that came are put in order at a time: most locks are gone again by then, which takes no more than to see it. */
const recentNames = 1_000;

/**
 * The names of a table's locks in their order, for those who list them. A million names are not put in order in one turn:
 * {@link step} takes some of them at a time, while names go on coming and going.
 */
export class NameOrder {
  readonly #names = new sorted.default<LockName, undefined>(undefined, compare);
  /** Not the order itself: locks would keep all its names in memory when it is dropped. */
  readonly #mark = {};
  readonly #rest: Iterator<NamedLock>;
  readonly #find: (name: LockName) => NamedLock | undefined;
  /** Names that came since the last were put in order. */
  #recent: LockName[] = [];
  #isComplete = false;

  /**
   * @param locks - all that there are; may change while they are walked through
   * @param find - the lock of this name, if there is one now
   */
  constructor(locks: Iterable<NamedLock>, find: (name: LockName) => NamedLock | undefined) {
    this.#rest = locks[Symbol.iterator]();
    this.#find = find;
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
        this.#put(next.value);
      }
    }
  }

  /** A lock has its first ticket. */
  add(name: LockName): void {
    if (this.#recent.push(name) >= recentNames) {
      this.#putRecent();
    }
  }

  /** A lock has no ticket any more. */
  delete(lock: NamedLock): void {
    if (lock.orderMark === this.#mark) {
      this.#names.delete(lock.name);
    }
  }

  /** The names from this one on, in order. They must not change meanwhile. */
  from(name: LockName): IterableIterator<LockName> {
    this.#putRecent();
    return this.#names.keys(name);
  }

  #putRecent(): void {
    for (const name of this.#recent) {
      const lock = this.#find(name);
      if (lock !== undefined) {
        this.#put(lock);
      }
    }
    this.#recent = [];
  }

  #put(lock: NamedLock): void {
    if (lock.orderMark !== this.#mark) {
      lock.orderMark = this.#mark;
      this.#names.set(lock.name, undefined);
    }
  }
}

/** By bytes: a name has a character for each. */
function compare(a: LockName, b: LockName): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

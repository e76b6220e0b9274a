import type { SummaryMessage, WatchLocksMessage } from "./inspect-messages.js";
import { type LockName, readName } from "./lock-name.js";

/** One that holds a lock. Times are by the clock of this page. */
export interface HolderRow {
  readonly owner: string;
  readonly token: string;
  readonly permits: number;
  readonly sinceMs: number;
  /** It waits for other locks, and this one is kept for it. */
  readonly reserves: boolean;
}

/** One lock. */
export interface LockRow {
  readonly name: LockName;
  readonly kind: string;
  /** The first of them. */
  readonly holders: readonly HolderRow[];
  readonly holderCount: number;
  readonly waiters: number;
  /** Since when the first that waits is seen to wait; Infinity if nobody waits. */
  readonly waitingSinceMs: number;
}

/** Locks whose names begin alike. */
export interface Family {
  readonly name: string;
  readonly locks: readonly LockRow[];
  readonly waiters: number;
  readonly waitingSinceMs: number;
}

/** More locks than this are not shown, so that neither memory nor the height of the page have to hold them. */
export const mostLocks = 100_000;

/** The locks that are there, as a stream of WatchLocks tells. */
export class LockBoard {
  readonly #rows = new Map<string, LockRow>();
  /** The rows in their order, but for those that have changed since. */
  #order: LockRow[] = [];
  #isOrdered = true;
  #families: readonly Family[] = [];
  /** What was told since the stream began; undefined once all that was there has been told. */
  #told: Set<string> | undefined = new Set();
  #waiters = 0;
  /** Whether there are locks that are not shown. */
  hasMore = false;

  get locks(): number {
    return this.#rows.size;
  }

  /** Whether all that was there at the beginning has been told. */
  get isComplete(): boolean {
    return this.#told === undefined;
  }

  /** How many requests wait. */
  get waiters(): number {
    return this.#waiters;
  }

  get(key: string): LockRow | undefined {
    return this.#rows.get(key);
  }

  /** The stream begins anew. What it does not tell of until it is complete is not there any more. */
  begin(): void {
    this.#told = new Set();
  }

  /** @param nowMs - when the message came, by the clock of this page */
  apply({ locks = [], removed = [], complete = false, restarted = false }: WatchLocksMessage, nowMs: number): void {
    if (restarted) {
      this.begin();
    }
    for (const message of locks) {
      this.#put(rowOf(message, nowMs));
    }
    for (const name of removed) {
      this.#remove(readName(name).key);
    }
    if (complete && this.#told !== undefined) {
      for (const key of this.#rows.keys()) {
        if (!this.#told.has(key)) {
          this.#remove(key);
        }
      }
      this.#told = undefined;
    }
  }

  /** All locks by their families; those in which somebody waits longest come first, and so do such locks in a family. */
  families(): readonly Family[] {
    if (this.#isOrdered) {
      return this.#families;
    }
    this.#isOrdered = true;
    // What has not changed is still in its order, so that sorting has little to do.
    const kept = this.#order.filter((row) => this.#rows.get(row.name.key) === row);
    const known = new Set(kept);
    this.#order = [...kept, ...[...this.#rows.values()].filter((row) => !known.has(row))].sort(byWait);
    const families = new Map<string, { name: string; locks: LockRow[]; waiters: number; waitingSinceMs: number }>();
    for (const row of this.#order) {
      const { family: name } = row.name;
      let family = families.get(name);
      if (family === undefined) {
        family = { name, locks: [], waiters: 0, waitingSinceMs: row.waitingSinceMs };
        families.set(name, family);
      }
      family.locks.push(row);
      family.waiters += row.waiters;
    }
    return (this.#families = [...families.values()]);
  }

  #put(row: LockRow): void {
    const { key } = row.name;
    const before = this.#rows.get(key);
    if (before === undefined && this.#rows.size >= mostLocks) {
      this.hasMore = true;
      return;
    }
    this.#rows.set(key, before === undefined ? row : { ...row, waitingSinceMs: steady(before, row) });
    this.#waiters += row.waiters - (before?.waiters ?? 0);
    this.#told?.add(key);
    this.#isOrdered = false;
  }

  #remove(key: string): void {
    const row = this.#rows.get(key);
    if (row !== undefined) {
      this.#rows.delete(key);
      this.#waiters -= row.waiters;
      this.#isOrdered = false;
    }
  }
}

const kinds: Partial<Record<string, string>> = {
  LOCK_MODE_EXCLUSIVE: "exclusive",
  LOCK_MODE_SHARED: "shared",
  LOCK_MODE_SEMAPHORE: "semaphore",
};

/** The kind of a lock or of a request, in a word. */
export function kindOf(mode: string | undefined): string {
  return kinds[mode ?? ""] ?? "exclusive";
}

function rowOf(message: SummaryMessage, nowMs: number): LockRow {
  const { state, mode, oldestWaitMs = "0" } = message;
  const { holders = [], holderCount = 0, waiters = 0, permitsHeld = 0, limit = 0 } = state ?? {};
  const kind = kindOf(mode);
  return {
    name: readName(message),
    kind: kind === "semaphore" ? `semaphore ${permitsHeld}/${limit}` : kind,
    holders: holders.map(({ owner = "", token = "0", permits = 0, heldMs = "0", reserves = false }) => ({
      owner,
      token,
      permits,
      sinceMs: nowMs - Number(heldMs),
      reserves,
    })),
    holderCount,
    waiters,
    waitingSinceMs: waiters === 0 ? Infinity : nowMs - Number(oldestWaitMs),
  };
}

/** How much two messages may differ about one moment because they were not as long on their way, in milliseconds. */
const jitterMs = 500;

/** Since when somebody waits. A row must not jump because its last message took longer. */
function steady(before: LockRow, { waitingSinceMs }: LockRow): number {
  return Math.abs(before.waitingSinceMs - waitingSinceMs) < jitterMs ? before.waitingSinceMs : waitingSinceMs;
}

function byWait(one: LockRow, other: LockRow): number {
  if (one.waitingSinceMs !== other.waitingSinceMs) {
    return one.waitingSinceMs - other.waitingSinceMs;
  }
  return one.name.shown < other.name.shown ? -1 : 1;
}

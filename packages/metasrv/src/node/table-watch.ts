import type { Clock } from "@metasrv/wire";
import type { Fold, FoldObserver } from "../fold/fold.js";
import type { LockName } from "../model/ticket-ref.js";
import type { Inspection, LockSummary, TicketInfo } from "./inspection.js";

/** What a watch of many locks tells at a time. */
export interface LockChanges {
  /** Locks that are there, or have changed. */
  readonly locks: readonly LockSummary[];
  /** Locks that have no ticket any more. */
  readonly removed: readonly LockName[];
  /** Whether all locks that were there have been told now. */
  readonly complete: boolean;
  /** Whether it begins anew with this. */
  readonly restarted: boolean;
  /** Requests that have got these locks since the last message, and holds whose TTL has passed. */
  readonly granted: number;
  readonly expired: number;
}

/** What a watch of many locks is of. */
export interface ManyLocks {
  readonly prefix: LockName;
  /** Whether to say something once a second even if nothing has changed. */
  readonly pulse: boolean;
  /** Which names are told and counted; absent: all. */
  readonly permits?: ((name: LockName) => boolean) | undefined;
}

export interface TableWatchOptions {
  readonly fold: Fold;
  readonly clock: Clock;
  readonly inspection: Inspection;
}

/** Least time between two messages of a watch that have nothing to do with each other, in milliseconds. */
const leastPauseMs = 100;
/** A watch pauses for so many times as long as telling took. */
const pauseFactor = 10;
/** How often something is said to those that want a pulse, in milliseconds. */
const pulseMs = 1_000;
/** Locks in a page of those that are there. */
const locksAtOnce = 250;
/** Changed locks in one message, and how long gathering them may take, in milliseconds. */
const changesAtOnce = 1_000;
const longestMs = 5;
/** How many locks may have changed before a watch tells of them. With more, it begins anew. */
const mostChanged = 10_000;

/** Locks that somebody looks at, and what of them has changed since that was told. */
class Watch {
  readonly of: Pick<ManyLocks, "prefix" | "permits">;
  readonly changed = new Set<LockName>();
  /** Too much has changed. */
  overflowed = false;
  granted = 0;
  expired = 0;
  #wake: (() => void) | undefined;

  constructor(of: Pick<ManyLocks, "prefix" | "permits">) {
    this.of = of;
  }

  covers(name: LockName): boolean {
    const { prefix, permits } = this.of;
    return name.startsWith(prefix) && permits?.(name) !== false;
  }

  note(name: LockName): void {
    if (!this.overflowed && this.covers(name)) {
      this.changed.add(name);
      if (this.changed.size > mostChanged) {
        this.overflow();
      }
      this.wake();
    }
  }

  overflow(): void {
    this.overflowed = true;
    this.changed.clear();
    this.wake();
  }

  wake(): void {
    this.#wake?.();
  }

  /** What was counted since this was asked last. */
  counts(): Pick<LockChanges, "granted" | "expired"> {
    const { granted, expired } = this;
    this.granted = 0;
    this.expired = 0;
    return { granted, expired };
  }

  /** Resolves when there is something to tell, or the signal has aborted. */
  async news(signal: AbortSignal): Promise<void> {
    if (!this.overflowed && this.changed.size === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** Tells those who look at locks what has changed. The table is not watched while nobody looks. */
export class TableWatch implements FoldObserver {
  readonly #fold: Fold;
  readonly #clock: Clock;
  readonly #inspection: Inspection;
  /** Of one lock each. */
  readonly #single = new Map<LockName, Set<Watch>>();
  readonly #many = new Set<Watch>();

  constructor({ fold, clock, inspection }: TableWatchOptions) {
    this.#fold = fold;
    this.#clock = clock;
    this.#inspection = inspection;
  }

  changed(name: LockName): void {
    for (const watch of this.#single.get(name) ?? []) {
      watch.note(name);
    }
    for (const watch of this.#many) {
      watch.note(name);
    }
  }

  granted(name: LockName): void {
    for (const watch of this.#many) {
      if (watch.covers(name)) {
        watch.granted++;
      }
    }
  }

  expired(name: LockName): void {
    for (const watch of this.#many) {
      if (watch.covers(name)) {
        watch.expired++;
      }
    }
  }

  replaced(): void {
    for (const watch of [...this.#many, ...[...this.#single.values()].flatMap((watches) => [...watches])]) {
      watch.overflow();
    }
  }

  /** Yields a lock and the first of its tickets, and again when that has changed, until the signal aborts. */
  async *one(
    name: LockName,
    maxTickets: number,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly lock: LockSummary; readonly tickets: readonly TicketInfo[] }> {
    const watch = new Watch({ prefix: name });
    const watches = this.#single.get(name) ?? new Set();
    this.#single.set(name, watches.add(watch));
    const end = this.#begin(watch, signal);
    try {
      while (!signal.aborted) {
        const beganAtMs = this.#clock.now();
        watch.changed.clear();
        watch.overflowed = false;
        const shown = await this.#inspection.get(name, 0n, maxTickets);
        const tookMs = this.#clock.now() - beganAtMs;
        yield shown;
        await this.#pause(tookMs, signal);
        await watch.news(signal);
      }
    } finally {
      watches.delete(watch);
      if (watches.size === 0) {
        this.#single.delete(name);
      }
      end();
    }
  }

  /** Yields all locks whose names begin with the prefix, and then those that change, until the signal aborts. */
  async *many({ pulse, ...of }: ManyLocks, signal: AbortSignal): AsyncGenerator<LockChanges> {
    const watch = new Watch(of);
    this.#many.add(watch);
    const end = this.#begin(watch, signal);
    try {
      for (let restarted = false; !signal.aborted; restarted = true) {
        watch.overflowed = false;
        yield* this.#all(watch, restarted, signal);
        yield* this.#changes(watch, pulse, signal);
      }
    } finally {
      this.#many.delete(watch);
      end();
    }
  }

  /** Goes to the end even if too much changes meanwhile: else those who watch a busy table would never see its end. */
  async *#all(watch: Watch, restarted: boolean, signal: AbortSignal): AsyncGenerator<LockChanges> {
    let isFirst = restarted;
    let after: LockName | undefined = "" as LockName;
    while (after !== undefined && !signal.aborted) {
      const page = { ...watch.of, pageSize: locksAtOnce, after, minToken: 0n, waitingOnly: false };
      const { locks, next }: Awaited<ReturnType<Inspection["list"]>> = await this.#inspection.list(page);
      yield { locks, removed: [], complete: next === undefined, restarted: isFirst, ...watch.counts() };
      isFirst = false;
      after = next;
    }
  }

  async *#changes(watch: Watch, pulse: boolean, signal: AbortSignal): AsyncGenerator<LockChanges> {
    for (;;) {
      const timer = pulse
        ? this.#clock.after(pulseMs, () => {
            watch.wake();
          })
        : undefined;
      await watch.news(signal);
      timer?.cancel();
      if (watch.overflowed || signal.aborted) {
        return;
      }
      const beganAtMs = this.#clock.now();
      const locks: LockSummary[] = [];
      const removed: LockName[] = [];
      for (const name of watch.changed) {
        if (locks.length + removed.length === changesAtOnce || this.#clock.now() - beganAtMs > longestMs) {
          break;
        }
        watch.changed.delete(name);
        const summary = this.#inspection.summary(name);
        if (summary === undefined) {
          removed.push(name);
        } else {
          locks.push(summary);
        }
      }
      const tookMs = this.#clock.now() - beganAtMs;
      yield { locks, removed, complete: false, restarted: false, ...watch.counts() };
      await this.#pause(tookMs, signal);
    }
  }

  #begin(watch: Watch, signal: AbortSignal): () => void {
    const wake = () => {
      watch.wake();
    };
    signal.addEventListener("abort", wake);
    this.#fold.observer = this;
    return () => {
      signal.removeEventListener("abort", wake);
      if (this.#many.size === 0 && this.#single.size === 0) {
        this.#fold.observer = undefined;
      }
    };
  }

  async #pause(tookMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#clock.after(Math.max(leastPauseMs, pauseFactor * tookMs), done);
      signal.addEventListener("abort", done);
    });
  }
}

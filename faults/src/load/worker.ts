import { setTimeout as sleep } from "node:timers/promises";
import { type HeldLock, type LockOptions, type MetaClient, WaitTimeoutError } from "@metasrv/meta-client";
import type { Journal } from "../history/journal.js";
import { nowUs, sharedUs } from "../monotonic.js";
import type { Random } from "../random.js";
import type { ResourceClient } from "../resource/resource-client.js";

/** What a worker works with. */
export interface WorkerParts {
  /** The beginning of the names of all its asks. No two workers have the same. */
  readonly name: string;
  readonly client: MetaClient;
  readonly journal: Journal;
  readonly resource: ResourceClient;
  readonly random: Random;
  /** Aborts when the load is to end. */
  readonly ending: AbortSignal;
}

/** How a worker asks for a lock. The TTL is always given, so that the history has it. */
export interface Wish extends LockOptions {
  readonly ttlMs: number;
  /** So many permits of a semaphore; absent: the lock, in its mode. */
  readonly share?: { readonly permits: number; readonly limit: number };
}

/** A lock that a worker holds, for one ask. */
export interface Hold {
  readonly ask: string;
  readonly name: string;
  readonly lock: HeldLock;
}

/** Asks for locks, writes to what the locks guard, gives the locks back, and writes all of it down. */
export class Worker {
  readonly #parts: WorkerParts;
  #asks = 0;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  get random(): Random {
    return this.#parts.random;
  }

  get ending(): boolean {
    return this.#parts.ending.aborted;
  }

  /** Waits for a lock; undefined when it was not granted. */
  async lock(name: string, wish: Wish): Promise<Hold | undefined> {
    const { client, ending } = this.#parts;
    return await this.#acquire(name, wish, (owner) => {
      const { share, mode, ...options } = { ...wish, owner, signal: ending };
      return share === undefined
        ? client.lock(name, { ...options, mode })
        : client.semaphore(name, share).acquire({ ...options, permits: share.permits });
    });
  }

  /** Takes a lock if it is free. */
  async tryLock(name: string, wish: Omit<Wish, "waitMs">): Promise<Hold | undefined> {
    const { client, ending } = this.#parts;
    return await this.#acquire(name, { ...wish, waitMs: 0 }, (owner) =>
      client.tryLock(name, { ...wish, owner, signal: ending }),
    );
  }

  /** Does something while a lock is held and kept alive. */
  async withLock(name: string, wish: Wish, work: (hold: Hold) => Promise<void>): Promise<void> {
    const { client, ending } = this.#parts;
    const ask = this.#ask(name, { ...wish, keepAlive: true });
    try {
      await client.withLock(name, { ...wish, owner: ask, signal: ending }, async (lock) => {
        const hold = this.#granted(ask, name, lock);
        await work(hold);
        this.#done(hold);
      });
    } catch (error) {
      this.#refusedOrFailed(ask, error);
    }
  }

  /** Writes to what the lock guards. */
  async write({ ask, name, lock }: Hold): Promise<void> {
    await this.#parts.resource.write(ask, name, lock.token, lock.floor);
  }

  /** Makes an exclusive lock a shared one. */
  async downgrade({ ask, lock }: Hold): Promise<void> {
    this.#parts.journal.write({ kind: "downgraded", atUs: nowUs(), ask });
    await lock.downgrade();
  }

  /** Gives a lock back. */
  async release(hold: Hold): Promise<void> {
    const { journal } = this.#parts;
    this.#done(hold);
    try {
      await hold.lock.release();
      journal.write({ kind: "unlocked", atUs: nowUs(), ask: hold.ask });
    } catch (error) {
      this.#failed(hold.ask, error);
    }
  }

  /** Pauses between two things to do; ends early with the load. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#parts.ending }).catch(() => undefined);
  }

  /** Works for this time, but not longer than the lock is held or the load goes on. */
  async workWhileHeld({ lock }: Hold, ms: number): Promise<void> {
    const signal = AbortSignal.any([lock.signal, this.#parts.ending]);
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async #acquire(
    name: string,
    wish: Wish,
    acquire: (owner: string) => Promise<HeldLock | null>,
  ): Promise<Hold | undefined> {
    const ask = this.#ask(name, wish);
    try {
      const lock = await acquire(ask);
      if (lock !== null) {
        return this.#granted(ask, name, lock);
      }
      this.#parts.journal.write({ kind: "refused", atUs: nowUs(), ask, why: "taken" });
    } catch (error) {
      this.#refusedOrFailed(ask, error);
    }
    return undefined;
  }

  #ask(lock: string, { ttlMs, waitMs, keepAlive = false, mode, share }: Wish): string {
    const ask = `${this.#parts.name}.${++this.#asks}`;
    const bound = waitMs === undefined ? {} : { waitMs };
    const part = mode === "shared" ? { permits: 1, limit: 2 ** 32 - 1 } : (share ?? {});
    this.#parts.journal.write({ kind: "asked", atUs: nowUs(), ask, lock, ttlMs, keepAlive, ...bound, ...part });
    return ask;
  }

  #granted(ask: string, name: string, lock: HeldLock): Hold {
    const { journal } = this.#parts;
    const token = lock.token.toString();
    journal.write({
      kind: "granted",
      atUs: nowUs(),
      ask,
      token,
      floor: lock.floor.toString(),
      untilUs: sharedUs(lock.expiresAtMs),
    });
    lock.signal.addEventListener("abort", () => {
      const reason: unknown = lock.signal.reason;
      const why = reason instanceof Error ? reason.message : String(reason);
      journal.write({ kind: "over", atUs: nowUs(), ask, why, untilUs: sharedUs(lock.expiresAtMs) });
    });
    return { ask, name, lock };
  }

  #done({ ask, lock }: Hold): void {
    this.#parts.journal.write({ kind: "done", atUs: nowUs(), ask, untilUs: sharedUs(lock.expiresAtMs) });
  }

  #refusedOrFailed(ask: string, error: unknown): void {
    const { journal, ending } = this.#parts;
    if (error instanceof WaitTimeoutError) {
      journal.write({ kind: "refused", atUs: nowUs(), ask, why: "waited" });
    } else if (ending.aborted && error === ending.reason) {
      journal.write({ kind: "refused", atUs: nowUs(), ask, why: "ending" });
    } else {
      this.#failed(ask, error);
    }
  }

  #failed(ask: string, error: unknown): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#parts.journal.write({ kind: "failed", atUs: nowUs(), ask, error: text });
  }
}

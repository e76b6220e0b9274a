import { setTimeout as sleep } from "node:timers/promises";
import {
  type HeldLock,
  type HeldLocks,
  LockLostError,
  type LockOptions,
  type MetaClient,
  MetaError,
  WaitTimeoutError,
} from "@metasrv/meta-client";
import type { AskedPart } from "../history/event.js";
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

/** One of several locks that a worker asks for at once. */
export interface WishedPart {
  readonly name: string;
  readonly mode?: "exclusive" | "shared";
}

/** What a worker holds, for one ask. */
interface AnyHold<Lock> {
  readonly ask: string;
  readonly lock: Lock;
}

/** A lock that a worker holds. */
export interface Hold extends AnyHold<HeldLock> {
  readonly name: string;
}

/** Several locks that a worker holds together. */
export interface HoldOfSeveral extends AnyHold<HeldLocks> {
  readonly names: readonly string[];
}

const noLimit = 2 ** 32 - 1;

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
    const held = await this.#acquire(this.#ask(name, wish), (owner) => {
      const { share, mode, ...options } = { keepAlive: false, ...wish, owner, signal: ending };
      return share === undefined
        ? client.lock(name, { ...options, mode })
        : client.semaphore(name, share).acquire({ ...options, permits: share.permits });
    });
    return held && this.#granted({ ...held, name });
  }

  /** Takes a lock if it is free. */
  async tryLock(name: string, wish: Omit<Wish, "waitMs">): Promise<Hold | undefined> {
    const { client, ending } = this.#parts;
    const held = await this.#acquire(this.#ask(name, { ...wish, waitMs: 0 }), (owner) =>
      client.tryLock(name, { keepAlive: false, ...wish, owner, signal: ending }),
    );
    return held && this.#granted({ ...held, name });
  }

  /** Waits for several locks, or takes them if they are free: without `waitMs: 0`, or with it. */
  async lockAll(parts: readonly WishedPart[], wish: Omit<Wish, "mode" | "share">): Promise<HoldOfSeveral | undefined> {
    const { client, ending } = this.#parts;
    const inOrder = parts.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const [first = { name: "" }, ...others] = inOrder;
    const asked = this.#ask(first.name, { ...wish, mode: first.mode }, others);
    const held = await this.#acquire(asked, (owner) => {
      const { waitMs, ...options } = { keepAlive: false, ...wish, owner, signal: ending };
      return waitMs === 0 ? client.tryLockAll(parts, options) : client.lockAll(parts, { ...options, waitMs });
    });
    return held && this.#grantedSeveral({ ...held, names: inOrder.map(({ name }) => name) });
  }

  /** Does something while a lock is held and kept alive. */
  async withLock(name: string, wish: Wish, work: (hold: Hold) => Promise<void>): Promise<void> {
    const { client, ending } = this.#parts;
    const ask = this.#ask(name, { ...wish, keepAlive: true });
    try {
      await client.withLock(name, { ...wish, owner: ask, signal: ending }, async (lock) => {
        const hold = this.#granted({ ask, name, lock });
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

  /** Writes to all that the locks guard. */
  async writeAll({ ask, names, lock }: HoldOfSeveral): Promise<void> {
    await Promise.all(names.map((name) => this.#parts.resource.write(ask, name, lock.token, lock.floorOf(name))));
  }

  /** Takes a lock away from whoever has that token, or had it; an operator who sees an error looks at the lock again. */
  async force(lock: string, token: bigint): Promise<void> {
    const { client, journal } = this.#parts;
    const event = { lock, token: token.toString() };
    journal.write({ kind: "forcing", atUs: nowUs(), ...event });
    const done = await ignoringErrors(client.locks.force(lock, token, { reason: "the campaign", actor: this.name }));
    if (done !== undefined) {
      journal.write({ kind: "forced", atUs: nowUs(), ...event });
    }
  }

  /** The tokens of those who hold a lock or wait for it, as far as a server says. */
  async tokensOf(lock: string): Promise<readonly bigint[]> {
    const info = await ignoringErrors(this.#parts.client.locks.get(lock));
    return info?.tickets.map(({ token }) => token) ?? [];
  }

  /** Makes an exclusive lock a shared one. */
  async downgrade({ ask, lock }: Hold): Promise<void> {
    this.#parts.journal.write({ kind: "downgraded", atUs: nowUs(), ask });
    await lock.downgrade();
  }

  /** Gives a lock back. */
  async release(hold: AnyHold<Pick<HeldLock, "release" | "expiresAtMs">>): Promise<void> {
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
  async workWhileHeld({ lock }: AnyHold<Pick<HeldLock, "signal">>, ms: number): Promise<void> {
    const signal = AbortSignal.any([lock.signal, this.#parts.ending]);
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async #acquire<Lock>(
    ask: string,
    acquire: (owner: string) => Promise<Lock | null>,
  ): Promise<AnyHold<Lock> | undefined> {
    try {
      const lock = await acquire(ask);
      if (lock !== null) {
        return { ask, lock };
      }
      this.#parts.journal.write({ kind: "refused", atUs: nowUs(), ask, why: "taken" });
    } catch (error) {
      this.#refusedOrFailed(ask, error);
    }
    return undefined;
  }

  #ask(
    lock: string,
    { ttlMs, waitMs, keepAlive = false, mode, share }: Wish,
    more: readonly WishedPart[] = [],
  ): string {
    const ask = `${this.#parts.name}.${++this.#asks}`;
    const bound = waitMs === undefined ? {} : { waitMs };
    const part = mode === "shared" ? { permits: 1, limit: noLimit } : (share ?? {});
    const others = more.length === 0 ? {} : { others: more.map(askedPart) };
    this.#parts.journal.write({
      kind: "asked",
      atUs: nowUs(),
      ask,
      lock,
      ttlMs,
      keepAlive,
      ...bound,
      ...part,
      ...others,
    });
    return ask;
  }

  #granted(hold: Hold): Hold {
    this.#believes(hold, hold.lock.floor, []);
    return hold;
  }

  #grantedSeveral(hold: HoldOfSeveral): HoldOfSeveral {
    const [floor = 0n, ...others] = hold.names.map((name) => hold.lock.floorOf(name));
    this.#believes(hold, floor, others);
    return hold;
  }

  #believes(
    { ask, lock }: AnyHold<Pick<HeldLock, "token" | "expiresAtMs" | "signal">>,
    floor: bigint,
    others: readonly bigint[],
  ): void {
    const { journal } = this.#parts;
    journal.write({
      kind: "granted",
      atUs: nowUs(),
      ask,
      token: lock.token.toString(),
      floor: floor.toString(),
      ...(others.length > 0 && { otherFloors: others.map(String) }),
      untilUs: sharedUs(lock.expiresAtMs),
    });
    const over = (): void => {
      const reason: unknown = lock.signal.reason;
      const why = reason instanceof Error ? reason.message : String(reason);
      journal.write({ kind: "over", atUs: nowUs(), ask, why, untilUs: sharedUs(lock.expiresAtMs) });
    };
    // Grant and loss may come together, and a signal that has aborted tells nobody.
    if (lock.signal.aborted) {
      over();
    } else {
      lock.signal.addEventListener("abort", over);
    }
  }

  #done({ ask, lock }: AnyHold<Pick<HeldLock, "expiresAtMs">>): void {
    this.#parts.journal.write({ kind: "done", atUs: nowUs(), ask, untilUs: sharedUs(lock.expiresAtMs) });
  }

  #refusedOrFailed(ask: string, error: unknown): void {
    const { journal, ending } = this.#parts;
    if (error instanceof WaitTimeoutError) {
      journal.write({ kind: "refused", atUs: nowUs(), ask, why: "waited" });
    } else if (error instanceof LockLostError && error.forced !== undefined) {
      journal.write({ kind: "refused", atUs: nowUs(), ask, why: "forced" });
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

function askedPart({ name, mode }: WishedPart): AskedPart {
  return { lock: name, permits: 1, limit: mode === "shared" ? noLimit : 1 };
}

/** Undefined where the servers could not do it, or there is nothing to be done it to. */
async function ignoringErrors<Result>(result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof MetaError) {
      return undefined;
    }
    throw error;
  }
}

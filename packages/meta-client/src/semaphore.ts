import type { HeldLock } from "./held-lock.js";
import type { LockOptions, TryLockOptions } from "./lock-arguments.js";

/** How many permits a semaphore has. */
export interface SemaphoreOptions {
  /**
   * How many permits there are. Say the same wherever the semaphore is used: while requests disagree, the smallest limit
   * among those that hold counts, so that a change of the limit takes effect without stopping anybody.
   */
  readonly limit: number;
}

/** Options of {@link Semaphore.tryAcquire}. */
export interface TryAcquireOptions extends Omit<TryLockOptions, "mode"> {
  /** How many permits to take, the limit at most. Default: 1. */
  readonly permits?: number | undefined;
}

/** Options of {@link Semaphore.acquire} and {@link Semaphore.withPermits}. */
export interface AcquireOptions extends Omit<LockOptions, "mode"> {
  /** How many permits to take, the limit at most. Default: 1. */
  readonly permits?: number | undefined;
}

/**
 * A lock that several may hold at a time, as long as they take no more permits together than there are. Whoever waits is not
 * overtaken, so a request for many permits keeps later ones waiting.
 *
 * It bounds load; it does not protect data, because a holder that has lost its permits cannot be told by its token from one
 * that has not.
 */
export interface Semaphore {
  /** Waits for permits; as `MetaClient.lock`, with the same errors. */
  acquire(options?: AcquireOptions): Promise<HeldLock>;
  /** Takes permits if there are enough and nobody waits; else resolves to null. As `MetaClient.tryLock`. */
  tryAcquire(options?: TryAcquireOptions): Promise<HeldLock | null>;
  /** Runs `body` while holding permits; as `MetaClient.withLock`. */
  withPermits<T>(body: (lock: HeldLock) => Promise<T> | T): Promise<T>;
  withPermits<T>(options: AcquireOptions | undefined, body: (lock: HeldLock) => Promise<T> | T): Promise<T>;
}

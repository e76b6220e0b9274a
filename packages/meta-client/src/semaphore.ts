import { checkObject } from "./argument-checks.js";
import type { HeldLock } from "./held-lock.js";
import {
  askedOf,
  type CheckedLockOptions,
  checkLimit,
  checkLockOptions,
  checkPermits,
  checkTryLockOptions,
  type LockOptions,
  optionsAndBody,
  type TryLockOptions,
  withoutMode,
} from "./lock-arguments.js";
import { type LockName, toWireName } from "./lock-name.js";
import type { Asked, Locker } from "./locker.js";

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

/** @throws InvalidArgumentError for a bad name or limit */
export function createSemaphore(name: LockName, options: SemaphoreOptions, locker: Locker): Semaphore {
  checkObject("options", options, "an object such as { limit: 10 }");
  toWireName(name);
  const limit = checkLimit(options.limit);
  const check = (given: AcquireOptions | TryAcquireOptions, checked: CheckedLockOptions): Asked => {
    withoutMode(given);
    return [[askedOf(name, checkPermits(given.permits, limit))], checked];
  };
  return {
    acquire: async (given = {}) => locker.acquire(...check(given, checkLockOptions(given))),
    tryAcquire: async (given = {}) => locker.tryAcquire(...check(given, checkTryLockOptions(given))),
    withPermits: async <T>(
      ...rest:
        | [body: (lock: HeldLock) => Promise<T> | T]
        | [options: AcquireOptions | undefined, body: (lock: HeldLock) => Promise<T> | T]
    ): Promise<T> => {
      const [given, body] = optionsAndBody(rest);
      return locker.with(() => check(given, checkLockOptions(given)), body);
    },
  };
}

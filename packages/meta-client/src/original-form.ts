import { checkObject, invalid } from "./argument-checks.js";
import type { LockName } from "./lock-name.js";
import { InvalidArgumentError } from "./meta-errors.js";

/** The original form of locks, apart from handles: a lock is a key, is never renewed, and nothing tells when it is over. */
export interface OriginalForm {
  /** Waits for a lock that is held for `expireSecs`. */
  lock(request: LockRequest): Promise<LockResult>;
  /** Releases the lock that `key` holds. */
  unlock(request: UnlockRequest): Promise<UnlockResult>;
}

/** A request in the original form. */
export interface LockRequest {
  readonly name: LockName;
  /** How long the lock is held, in seconds. It is never renewed. */
  readonly expireSecs: number;
}

/** The answer to a {@link LockRequest}. */
export interface LockResult {
  /** Opaque proof of ownership. Keep it secret, and unlock with it, in this process or another. */
  readonly key: Uint8Array;
}

/** A request to release the lock that a key holds. */
export interface UnlockRequest {
  readonly key: Uint8Array;
}

/** The answer to an {@link UnlockRequest}. */
export interface UnlockResult {
  /** Whether this call released the lock; false when it was not held any more. */
  readonly released: boolean;
}

/** @throws InvalidArgumentError that says what is expected; the name is checked with all others */
export function checkLockRequest(request: unknown): { name: LockName; ttlMs: number } {
  checkObject("request", request, 'a name, or an object such as { name: "orders", expireSecs: 60 }');
  const { name, expireSecs } = request as { name: LockName; expireSecs: unknown };
  const ttlMs = typeof expireSecs === "number" ? Math.round(expireSecs * 1000) : NaN;
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0) {
    return { name, ttlMs };
  }
  throw invalid("expireSecs", "a positive number of seconds", expireSecs);
}

/**
 * @returns the key, copied: a retry must send the same bytes whatever the caller does to its buffer meanwhile
 * @throws InvalidArgumentError that says what is expected
 */
export function checkUnlockRequest(request: unknown): Uint8Array {
  checkObject("request", request, "an object such as { key }");
  const { key } = request as { key: unknown };
  if (key instanceof Uint8Array && key.length > 0) {
    return Uint8Array.from(key);
  }
  // The message does not show the bytes: they may be most of a key.
  const got = key instanceof Uint8Array ? "no bytes at all" : `of type ${typeof key}`;
  throw new InvalidArgumentError(`key must be the bytes that lock() answered with, but is ${got}.`);
}

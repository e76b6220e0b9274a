import { checkBoolean, checkDurationMs, checkObject, checkSignal, checkText, invalid } from "./check-argument.js";
import { checkMode, type Share } from "./share.js";

/** Options of `tryLock`. */
export interface TryLockOptions {
  /** How long the lock is held unless renewed, in whole milliseconds. Default: the server's, 10000. */
  readonly ttlMs?: number | undefined;
  /** Ends the request when it aborts: the call rejects with its reason, and no request is left at the server. */
  readonly signal?: AbortSignal | undefined;
  /** By what people recognise the holder, 256 bytes at most. Default: the client's `owner`. */
  readonly owner?: string | undefined;
  /**
   * `"exclusive"`: hold the lock alone. `"shared"`: hold it together with all others that share it, and never beside an
   * exclusive holder. Whoever waits is not overtaken. Default: `"exclusive"`.
   */
  readonly mode?: "exclusive" | "shared" | undefined;
  /**
   * Whether to renew the lock until it is released. Do release it: a handle that is dropped is renewed as long as the
   * process lives, or `maxHoldMs`. Default: false; true for `withLock`.
   */
  readonly keepAlive?: boolean | undefined;
  /**
   * After how many milliseconds `keepAlive` renews no more, so that the lock ends one TTL later at the latest. Default:
   * no bound.
   */
  readonly maxHoldMs?: number | undefined;
}

/** Options of `lock` and `withLock`. */
export interface LockOptions extends TryLockOptions {
  /**
   * How long to wait for the lock, in whole milliseconds; then the call rejects with a `WaitTimeoutError`. 0: do not
   * wait. Default: no bound.
   */
  readonly waitMs?: number | undefined;
}

/** {@link LockOptions}, checked. */
export interface CheckedLockOptions {
  readonly ttlMs: number | undefined;
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly owner: string | undefined;
  readonly keepAlive: boolean | undefined;
  readonly maxHoldMs: number | undefined;
  readonly share: Share;
}

/** @throws InvalidArgumentError that names the option and says what it should be */
export function checkLockOptions(options: unknown): CheckedLockOptions {
  checkObject("options", options, "an object such as { ttlMs: 5000 }");
  const { ttlMs, waitMs, signal, owner, keepAlive, maxHoldMs, mode } = options as Record<string, unknown>;
  return {
    ttlMs: checkDurationMs("ttlMs", ttlMs, 1),
    waitMs: checkDurationMs("waitMs", waitMs, 0),
    signal: checkSignal("signal", signal),
    owner: checkText("owner", owner),
    keepAlive: checkBoolean("keepAlive", keepAlive),
    maxHoldMs: checkDurationMs("maxHoldMs", maxHoldMs, 1),
    share: checkMode(mode),
  };
}

/** As {@link checkLockOptions}, for a request that never waits. */
export function checkTryLockOptions(options: unknown): CheckedLockOptions {
  const checked = checkLockOptions(options);
  if (checked.waitMs === undefined) {
    return checked;
  }
  throw invalid("waitMs", "absent, because tryLock never waits (lock does)", checked.waitMs);
}

import type { Mode } from "./lock-arguments.js";
import type { LockName } from "./lock-name.js";

/**
 * A number that rises strictly with every grant of a lock. Hand it to whatever the lock guards, and let that refuse
 * lower ones: no clock can stop a process that sleeps through the end of its lock, but this can.
 */
export type FencingToken = bigint & { readonly __brand: "FencingToken" };

/**
 * What became of a renewal: `"renewed"`; `"lost"`, the lock is not held any more; `"unknown"`, no server could say, so
 * that the lock is held until {@link HeldLock.expiresAtMs} as before.
 */
export type RenewOutcome = "renewed" | "lost" | "unknown";

/**
 * A lock that is held.
 *
 * How long it is held is counted by this process's own monotonic clock, from when the request was sent: never longer
 * than the server keeps it, whatever the network does. Disposing (`await using`) releases it and never rejects.
 */
export interface HeldLock extends AsyncDisposable {
  /** The name as it was given. */
  readonly name: LockName;
  /** Opaque proof of ownership. Keep it secret. */
  readonly key: Uint8Array;
  readonly token: FencingToken;
  /**
   * The lowest token that a holder of this lock can have. A resource that is guarded by a shared lock refuses tokens below
   * the highest floor that it was shown, and so accepts all who hold the lock together. For an exclusive lock, it is the
   * token.
   */
  readonly floor: FencingToken;
  /** How it is held. */
  readonly mode: Mode;
  /** How many permits it is; 1 without a semaphore. */
  readonly permits: number;
  /**
   * By which limit the holders shared the lock when it was granted: of a semaphore, the smallest that any of them named; 1
   * for an exclusive lock, Infinity for a shared one.
   */
  readonly limit: number;
  /** Until when the lock is surely held, unless renewed: milliseconds on the clock of `performance.now()`. */
  readonly expiresAtMs: number;
  /** For how long the lock is surely held, unless renewed, in milliseconds; 0 once it is lost or released. */
  readonly remainingMs: number;
  /** Whether the lock is surely held now. */
  readonly held: boolean;
  /**
   * Aborts with a `LockLostError` when the lock is known to be lost, and at the latest a margin before
   * {@link expiresAtMs}: 5 % of the TTL, at most 250 ms, or `endMarginMs` if that is longer. Never aborts once the lock was released.
   *
   * Reading it looks at the clock, as reading {@link held} and {@link remainingMs} does: after the process was stopped for a
   * while, the code that goes on first may run before the timer that aborts the signal.
   */
  readonly signal: AbortSignal;
  /**
   * Throws if the lock is not surely held now. Call it before each step that counts only while the lock is held.
   *
   * @throws the reason of {@link signal}; LockLostError after the release
   */
  throwIfLost(): void;
  /**
   * Gives the lock its full TTL again.
   *
   * @param ttlMs - a new TTL in milliseconds, which later renewals keep; absent: as before
   * @throws InvalidArgumentError for a TTL that the server does not allow, in which case nothing has changed
   */
  renew(ttlMs?: number): Promise<RenewOutcome>;
  /**
   * Makes an exclusive lock a shared one, without releasing it: those get in who wait to share it. It gets its full TTL again,
   * and keeps its token. Count it as shared from the call on, whatever the outcome: each later renewal asks for it again.
   *
   * There is no way back. Two holders that wait for each other to go would wait for ever; release the lock and ask again.
   *
   * @throws InvalidArgumentError for permits of a semaphore
   */
  downgrade(): Promise<RenewOutcome>;
  /**
   * Gives the lock back. Idempotent: a second call returns the same promise. Resolves as well when the lock was lost or
   * has expired.
   *
   * @throws UnavailableError when no server could be told; the lock then ends with its TTL
   */
  release(): Promise<void>;
}

/** Several locks that are held together: one token, one signal, one release. To lose one of them is to lose all. */
export interface HeldLocks extends Omit<HeldLock, "name" | "floor" | "mode" | "permits" | "limit" | "downgrade"> {
  /** The names, in the order of their bytes. */
  readonly names: readonly LockName[];
  /**
   * What {@link HeldLock.floor} is for one of them.
   *
   * @throws InvalidArgumentError for another name
   */
  floorOf(name: LockName): FencingToken;
  /**
   * What {@link HeldLock.limit} is for one of them.
   *
   * @throws InvalidArgumentError for another name
   */
  limitOf(name: LockName): number;
}

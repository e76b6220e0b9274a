import type { LockError, LockState } from "../model/lock-errors.js";

/** What a caller wants of a lock. */
export interface ClaimRequest {
  /** 1 to `maxNameBytes` bytes. */
  readonly name: Uint8Array;
  /** 16 bytes chosen by the requester, who can then ask for the same ticket again; absent: the store chooses. */
  readonly ticketId?: Uint8Array;
  /** How often the same ticket was asked for before; absent: 0. A request with a lower number than one served is outdated. */
  readonly attempt?: number;
  /** How long the grant lasts unless renewed, in milliseconds; absent or 0: the default. */
  readonly ttlMs?: number;
  /** How long to wait, in milliseconds; 0: only if the lock is free; absent: until cancelled. */
  readonly waitMs?: number;
  /** By what people recognise the requester. */
  readonly owner?: string;
}

/** A grant. */
export interface Grant {
  /** Opaque bytes that prove ownership. */
  readonly key: Uint8Array;
  /** Fencing token: the ticket's create revision. */
  readonly token: bigint;
  /** How long the grant lasts, in milliseconds from the moment at which it was processed. */
  readonly ttlMs: number;
  /** Time from the request to that moment, in milliseconds. */
  readonly waitedMs: number;
}

/**
 * Why a granted lock is not served here any more: its TTL passed; it was released; or, though it may still be held,
 * another member runs its clock, or will.
 */
export type LossReason = "expired" | "released" | "moved";

/**
 * Told what becomes of a claim: exactly one of `granted`, `refused`, `failed`, and after `granted` at most one `lost`.
 * Always called after `claim()` has returned. Must not throw.
 */
export interface ClaimListener {
  granted(grant: Grant): void;
  /** Only with `waitMs: 0`: the lock is taken. */
  refused(state: LockState): void;
  failed(error: LockError): void;
  /** Absent for a requester that cannot be told; it is let go of once it has its grant. */
  lost?(reason: LossReason): void;
}

/** A claim that was made. */
export interface Claim {
  /**
   * The requester does not want it any more: a wait ends at once and leaves nothing behind; a grant that was told is
   * left alone. The listener is not called again.
   */
  cancel(): void;
  /**
   * The requester cannot be reached any more: as {@link cancel}, but if it knows the ticket id, its wait is kept for the
   * grace, so that it can ask again without losing its place.
   */
  detach(): void;
  /**
   * Releases the lock that was granted.
   *
   * @throws LockError `not-held`, or what the log throws
   */
  release(): Promise<void>;
  /**
   * Gives the lock that was granted a full TTL again.
   *
   * @param ttlMs - a new TTL in milliseconds; 0 keeps the one that it has
   * @returns the TTL in milliseconds
   * @throws LockError `not-held`, `invalid-ttl`, or what the log throws
   */
  renew(ttlMs: number): Promise<number>;
}

import type { ForcedBy, LockError, LockState } from "../model/lock-errors.js";
import type { Share } from "../model/ticket-content.js";

/** One of several locks that are asked for at once. */
export interface ClaimPart {
  readonly name: Uint8Array;
  readonly share: Share;
}

/** Counts the tickets that a node serves for one of those who ask for them. */
export interface TicketAccount {
  /** How many there are. */
  tickets: number;
  /** @throws LockError when there is no room for one more */
  requireRoom(): void;
}

/** What a caller wants of a lock. */
export interface ClaimRequest {
  /** 1 to `maxNameBytes` bytes. */
  readonly name: Uint8Array;
  /** 16 bytes chosen by the requester, who can then ask for the same ticket again; absent: the node chooses them. */
  readonly ticketId?: Uint8Array | undefined;
  /**
   * How often the requester asked for the same ticket before; absent: 0. A request with a lower number than an earlier
   * one is outdated.
   */
  readonly attempt?: number | undefined;
  /** How long the grant lasts unless renewed, in milliseconds; absent or 0: the default. */
  readonly ttlMs?: number | undefined;
  /** How long to wait, in milliseconds; 0: only if the lock is free; absent: until cancelled. */
  readonly waitMs?: number | undefined;
  /** By what people recognise the requester. */
  readonly owner?: string | undefined;
  /** How much of the lock it takes; absent: all of it. */
  readonly share?: Share | undefined;
  /** More locks that are asked for at once, of other names, in any order. */
  readonly others?: readonly ClaimPart[] | undefined;
  /** Pairs that people are shown. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What the requester holds while it waits. */
  readonly within?: readonly { readonly name: Uint8Array; readonly token: bigint }[] | undefined;
  /** What others read while the lock is held. */
  readonly value?: Uint8Array | undefined;
  /** What its ticket counts for. */
  readonly account?: TicketAccount | undefined;
  /** The W3C traceparent of the requester's span. */
  readonly traceparent?: string | undefined;
}

/** A grant. */
export interface Grant {
  /** Opaque bytes that prove ownership. */
  readonly key: Uint8Array;
  /** Fencing token: the ticket's place in the log. */
  readonly token: bigint;
  /** How long the grant lasts, in milliseconds from the moment at which the TTL began. */
  readonly ttlMs: number;
  /** Time from the request to that moment, in milliseconds. */
  readonly waitedMs: number;
  /** No holder of the lock has a lower token than this. */
  readonly floor: bigint;
  /** The smallest limit among those that hold. */
  readonly limit: number;
  /** Of several locks, each one's floor and limit, in the order of the bytes of their names; empty for one lock. */
  readonly parts: readonly { readonly floor: bigint; readonly limit: number }[];
  /** The traceparent of the request that gave way to this one, if both have one and this node served both. */
  readonly unblockedBy?: string | undefined;
}

/** What a renewal changes. */
export interface Renewal {
  /** A new TTL in milliseconds; 0 or absent keeps the one that it has. */
  readonly ttlMs?: number;
  /** Whether an exclusive lock becomes a shared one. */
  readonly downgrade?: boolean;
  /** Takes the place of the value that it has; absent: keeps it. */
  readonly value?: Uint8Array;
  /** What the ticket counts for, unless this node has served it before. */
  readonly account?: TicketAccount;
}

/**
 * Why this node does not serve a granted lock any more:
 *
 * - `expired`: its TTL has passed
 * - `released`: somebody released it
 * - `moved`: another member runs its clock, or will; the lock may still be held
 * - `forced`: an operator took it away
 */
export type LossReason = "expired" | "released" | "moved" | "forced";

/**
 * Told the outcome of a claim: exactly one of `granted`, `refused` and `failed`, and after `granted` at most one
 * `lost`. Nothing is told before `claim()` has returned. The methods must not throw.
 */
export interface ClaimListener {
  granted(grant: Grant): void;
  /** Only with `waitMs: 0`: the lock is taken. */
  refused(state: LockState): void;
  failed(error: LockError): void;
  /**
   * Absent if the requester cannot be told of a loss. The node then forgets the listener once it has told the grant.
   */
  lost?(reason: LossReason, forced?: ForcedBy): void;
}

/** A claim that was made. */
export interface Claim {
  /**
   * The requester does not want the lock any more. A wait ends at once and leaves nothing behind. A grant that was told
   * stays as it is. The listener is not called again.
   */
  cancel(): void;
  /**
   * The requester cannot be reached any more. This does what {@link cancel} does, except that a wait whose requester
   * knows the ticket id keeps its place for the grace, so that the requester can ask again.
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
   * @returns the TTL in milliseconds
   * @throws LockError `not-held`, `invalid-ttl`, `invalid-mode`, `invalid-value`, `cluster-too-old`, or what the log throws
   */
  renew(renewal: Renewal): Promise<number>;
}

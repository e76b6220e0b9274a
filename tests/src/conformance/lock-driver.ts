import type { LockErrorReason, LockState as NodeLockState } from "@metasrv/metasrv";
import type { Etcd3 } from "etcd3";

/** Who stands in the way of a lock. What a backend does not tell is empty. */
export type LockState = Pick<
  NodeLockState,
  "holderOwner" | "holderToken" | "waiters" | "holderCount" | "permitsHeld" | "limit"
>;

/** The state of a lock of which nothing is told. */
export const noState: LockState = {
  holderOwner: "",
  holderToken: 0n,
  waiters: 0,
  holderCount: 0,
  permitsHeld: 0,
  limit: 0,
};

/** Only what a {@link LockState} has, of what a backend tells. */
export function stateOf(told: Partial<LockState> | undefined): LockState {
  const { holderOwner, holderToken, waiters, holderCount, permitsHeld, limit } = { ...noState, ...told };
  return { holderOwner, holderToken, waiters, holderCount, permitsHeld, limit };
}

/** A kind of lock: shared, or so many permits. */
export type DriverShare = "shared" | { readonly permits: number; readonly limit: number };

/** How a lock is asked for. Absent fields take the backend's defaults. */
export interface LockAsk {
  readonly ttlMs?: number;
  /** Absent: until granted. */
  readonly waitMs?: number;
  /** 16 bytes. */
  readonly ticketId?: Uint8Array;
  /** How often the same ticket was asked for before. */
  readonly attempt?: number;
  readonly owner?: string;
  /** Absent: exclusive. */
  readonly share?: DriverShare;
  /** More locks that are asked for at once. */
  readonly others?: readonly { readonly name: Uint8Array; readonly share?: DriverShare }[];
  /** Ends a wait when it aborts; the call rejects. */
  readonly signal?: AbortSignal;
}

/** What a grant tells. */
export interface DriverGrant {
  readonly key: Uint8Array;
  /** 0 where the backend tells none. */
  readonly token: bigint;
  /** Absent where the backend tells none. */
  readonly floor?: bigint;
  readonly limit?: number;
  /** Of several locks: each one's, in the order of the bytes of their names. */
  readonly floors?: readonly bigint[];
}

/** What a try-lock answers. */
export type TryLockAnswer =
  | { readonly granted: DriverGrant }
  /** The state is empty where the backend tells none. */
  | { readonly refused: LockState };

/** Why a driver's call failed, in the same terms for all backends. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  /**
   * `aborted`: the ask's signal aborted. `invalid-argument`: the client refused the request before it sent anything.
   */
  readonly reason: LockErrorReason | "aborted" | "invalid-argument" | "other";
  readonly state: LockState | undefined;

  constructor(reason: DriverError["reason"], cause: unknown, state?: LockState) {
    super(`${reason}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.reason = reason;
    this.state = state;
  }
}

/** What a user of locks can call. Every call rejects with a {@link DriverError}. */
export interface LockCalls {
  lock(name: Uint8Array, ask?: LockAsk): Promise<DriverGrant>;
  tryLock(name: Uint8Array, ask?: LockAsk): Promise<TryLockAnswer>;
  unlock(key: Uint8Array): Promise<"released" | "not-held">;
  renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held">;
  /** Makes an exclusive lock a shared one. */
  downgrade(key: Uint8Array): Promise<"renewed" | "not-held">;
  /** Takes a lock away by force, by the token of a ticket. */
  force(name: Uint8Array, token: bigint): Promise<"released" | "not-held">;
}

/**
 * One way to use locks. Scenarios are written against it, so that each backend and each way to reach it must behave
 * alike.
 */
export interface LockDriver extends LockCalls, AsyncDisposable {
  /**
   * The lock as somebody else sees it, in a way of its own if the driver has none. If the holder's token is 0, the lock
   * is free.
   */
  observe(name: Uint8Array): Promise<LockState>;
  /** Stops the node in order and starts another on the same store. */
  restart(): Promise<void>;
  /**
   * The tickets in the store, of one lock if a name is given, each as a text that names it; only if the store can be
   * read.
   */
  tickets(name?: Uint8Array): Promise<readonly string[]>;
  /** How many tickets the node serves; only if that can be seen. */
  readonly served?: number;
  /** Present on etcd. */
  readonly etcd?: EtcdSide;
}

/** The etcd below a driver. */
export interface EtcdSide {
  readonly client: Etcd3;
  readonly prefix: string;
  /** Another node on the same etcd with another prefix. */
  neighbour(prefix: string): Promise<LockDriver>;
}

import type { LockErrorReason, LockState } from "@metasrv/metasrv";
import type { Etcd3 } from "etcd3";

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
  /** Ends a wait when it aborts; the call rejects. */
  readonly signal?: AbortSignal;
}

/** What a grant tells. */
export interface DriverGrant {
  readonly key: Uint8Array;
  /** 0 where the backend tells none. */
  readonly token: bigint;
}

/** What a try-lock answers. */
export type TryLockAnswer =
  | { readonly granted: DriverGrant }
  /** The state is empty where the backend tells none. */
  | { readonly refused: LockState };

/** Why a driver's call failed, in the words of all backends. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  /** `aborted`: by the ask's signal. `invalid-argument`: refused by the client before anything was sent. */
  readonly reason: LockErrorReason | "aborted" | "invalid-argument" | "other";
  readonly state: LockState | undefined;

  constructor(reason: DriverError["reason"], cause: unknown, state?: LockState) {
    super(`${reason}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.reason = reason;
    this.state = state;
  }
}

/**
 * One way to use locks. Scenarios are written against it, so that each backend and each way to reach it must behave
 * alike. Every call rejects with a {@link DriverError}.
 */
export interface LockDriver extends AsyncDisposable {
  lock(name: Uint8Array, ask?: LockAsk): Promise<DriverGrant>;
  tryLock(name: Uint8Array, ask?: LockAsk): Promise<TryLockAnswer>;
  unlock(key: Uint8Array): Promise<"released" | "not-held">;
  renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held">;
  /** The lock as someone else sees it, by a way of its own where the driver has none; holder token 0: it is free. */
  observe(name: Uint8Array): Promise<LockState>;
  /** Stops the node in order and starts another on the same store. */
  restart(): Promise<void>;
  /** The tickets in the store, where it can be looked into, each as a text that names it; of one lock. */
  tickets(name?: Uint8Array): Promise<readonly string[]>;
  /** How many tickets the node serves, where that can be seen. */
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

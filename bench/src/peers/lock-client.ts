import type { DemandId } from "./demand.js";

/** A load generator's way to a lock service. It lasts as long as its process. */
export interface LockClient {
  /** Prepares one of the concurrent callers; they are numbered from 0. */
  caller(index: number): Promise<Caller>;
  /** How many callers must be seen to hold at a time; absent where cycles are of plain locks. */
  readonly together?: number;
  /** Rejects unless all that was taken was given back, where {@link together} is. */
  checkAllFree?(): Promise<void>;
}

/** One of the concurrent callers: it never runs two cycles at a time. */
export interface Caller {
  /**
   * Locks and unlocks.
   *
   * @param holdMs - how long to hold, where the client has {@link LockClient.together}; absent: as shortly as it can
   */
  cycle(name: string, holdMs?: number): Promise<void>;
}

/** The TTL of every lock that a cycle takes, with every peer, in milliseconds. */
export const cycleTtlMs = 10_000;

/** Which client to open; data only, because it is sent to the load generator's process. */
export type ClientSpec =
  | { readonly kind: "metasrv"; readonly urls: readonly string[]; readonly ca?: string }
  | { readonly kind: "v3lock"; readonly address: string }
  | { readonly kind: "etcd3-lock"; readonly address: string }
  | { readonly kind: "redlock"; readonly address: string }
  | { readonly kind: "redis-semaphore"; readonly address: string }
  | { readonly kind: "metasrv-singly"; readonly urls: readonly string[] }
  | { readonly kind: "etcd3-recipe"; readonly address: string }
  | { readonly kind: "asking"; readonly demand: DemandId; readonly by: TakerSpec }
  | { readonly kind: "etcd-put"; readonly address: string; readonly puts: 1 | 2 }
  | { readonly kind: "stream-noop"; readonly url: string }
  | { readonly kind: "raw-grpc"; readonly address: string };

/** Which client to open where more than plain locks are asked for. */
export type TakerSpec = Extract<
  ClientSpec,
  { readonly kind: "metasrv" | "metasrv-singly" | "redis-semaphore" | "etcd3-recipe" }
>;

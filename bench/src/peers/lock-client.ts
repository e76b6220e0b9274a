/** A load generator's way to a lock service. It lasts as long as its process. */
export interface LockClient {
  /** Prepares one of the concurrent callers; they are numbered from 0. */
  caller(index: number): Promise<Caller>;
}

/** One of the concurrent callers: it never runs two cycles at a time. */
export interface Caller {
  /** Locks and unlocks. */
  cycle(name: string): Promise<void>;
}

/** The TTL of every lock that a cycle takes, with every peer, in milliseconds. */
export const cycleTtlMs = 10_000;

/** Which client to open; data only, because it is sent to the load generator's process. */
export type ClientSpec =
  | { readonly kind: "metasrv"; readonly urls: readonly string[] }
  | { readonly kind: "v3lock"; readonly address: string }
  | { readonly kind: "etcd3-lock"; readonly address: string }
  | { readonly kind: "redlock"; readonly address: string }
  | { readonly kind: "redis-semaphore"; readonly address: string }
  | { readonly kind: "etcd-put"; readonly address: string; readonly puts: 1 | 2 }
  | { readonly kind: "stream-noop"; readonly url: string }
  | { readonly kind: "raw-grpc"; readonly address: string };

/** What every answer of etcd says of the etcd that gave it. */
export interface EtcdHeader {
  /** The same for all members of one etcd; another etcd, or one that was set up anew, has another. */
  readonly clusterId: bigint;
  /** The store's revision when it answered. */
  readonly revision: bigint;
}

/** A key as etcd has it. */
export interface EtcdKeyValue {
  readonly key: Buffer;
  /** Empty where only keys were asked for. */
  readonly value: Buffer;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** The lease with which it goes; 0 for none. */
  readonly lease: bigint;
}

/** A condition on one key; one that is not there has the revisions 0. */
export interface EtcdCompare {
  readonly key: Buffer;
  readonly target: "create" | "mod";
  readonly result: "equal" | "greater" | "less";
  readonly revision: bigint;
}

/** One op of a transaction. */
export type EtcdOp =
  | { readonly kind: "put"; readonly key: Buffer; readonly value: Buffer }
  /** All keys from `key` up to, not including, `end`; without it, the one key. */
  | { readonly kind: "delete"; readonly key: Buffer; readonly end?: Buffer }
  | ({ readonly kind: "range" } & EtcdRange);

/** Which keys are read. */
export interface EtcdRange {
  readonly key: Buffer;
  /** All keys up to, not including, this one; without it, the one key. */
  readonly end?: Buffer;
  readonly keysOnly?: boolean;
  /** At most so many, the first in the order of keys; all without it. */
  readonly limit?: number;
}

export interface EtcdTxn {
  readonly compare: readonly EtcdCompare[];
  /** Done if all comparisons hold, seen before any of it. */
  readonly success: readonly EtcdOp[];
  /** Done otherwise. */
  readonly failure: readonly EtcdOp[];
}

export interface EtcdTxnAnswer {
  readonly header: EtcdHeader;
  readonly succeeded: boolean;
  /** What each range of the branch that was taken has read, in their order; there is none for a put or a delete. */
  readonly read: readonly (readonly EtcdKeyValue[])[];
}

export interface EtcdPage {
  readonly header: EtcdHeader;
  readonly kvs: readonly EtcdKeyValue[];
  /** Whether there are more keys than were asked for. */
  readonly more: boolean;
}

/** A committed change of one key. */
export interface EtcdEvent {
  readonly kind: "put" | "delete";
  /** Of a deletion, the key and the revision at which it was deleted, as `modRevision`, are all there is. */
  readonly kv: EtcdKeyValue;
}

/** What a watch says. */
export interface EtcdWatchResponse {
  readonly header: EtcdHeader;
  /** Comes first, once. */
  readonly created: boolean;
  /** etcd has ended the watch, and says why. */
  readonly canceled: boolean;
  readonly cancelReason: string;
  /** Not 0 when the revision asked for was compacted away; the lowest that is still there. */
  readonly compactRevision: bigint;
  /** In the order of their revisions; whole revisions. */
  readonly events: readonly EtcdEvent[];
}

/** What is watched. */
export interface EtcdWatchRange {
  readonly key: Buffer;
  /** All keys from `key` up to, not including, this one. */
  readonly end: Buffer;
  /** The first revision of which it tells; 0: what comes from now on. */
  readonly startRevision: bigint;
}

/** Is told what comes on a watch; `closed` exactly once, in the end. */
export interface EtcdWatchListener {
  response(response: EtcdWatchResponse): void;
  /** @param error - absent when etcd ended it well */
  closed(error: Error | undefined): void;
}

/** A watch that was asked for. */
export interface EtcdWatch {
  /**
   * Asks for a sign of life: answered by a response without events. Its revision is that of the member's store, not of
   * the watch: an etcd 3.4.23 that has old events to send first answers at once, ahead of them. Only events say how far
   * the watch is.
   */
  progress(): void;
  /** Ends it at once: the listener is told of nothing more but its end. */
  cancel(): void;
}

/**
 * What is asked of etcd. Each call is made once, of one member, and fails when there is no answer within `timeoutMs`
 * milliseconds; the next call is then made of the next member. All reads need a majority of etcd's members.
 *
 * A call rejects with an Error that has gRPC's status code and message, as in "14 UNAVAILABLE: ...".
 */
export interface EtcdClient {
  txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnAnswer>;
  /**
   * Watches keys. Watches have a connection of their own, which ends with any of them: one at a time is meant, and the
   * next is asked of the next member.
   *
   * @throws Error when the client was closed
   */
  watch(range: EtcdWatchRange, listener: EtcdWatchListener): EtcdWatch;
  /** @param range.revision - at which revision; absent: now */
  range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage>;
  /** Puts a key with a lease. */
  put(
    request: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader>;
  /** @returns the lease, and the TTL that it got, in seconds */
  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ readonly lease: bigint; readonly ttlSeconds: number }>;
  /** @returns the TTL that it has from now on, in seconds; 0 if it is gone */
  keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number>;
  revokeLease(lease: bigint, timeoutMs: number): Promise<void>;
  /** Size of the database of the member that answers, in bytes; it answers without the others. */
  databaseBytes(timeoutMs: number): Promise<number>;
  /**
   * Ends all watches. Transactions that are under way fail at once, other calls within their time; later ones fail, too.
   */
  close(): void;
}

import type {
  EtcdClient,
  EtcdCompare,
  EtcdEvent,
  EtcdHeader,
  EtcdKeyValue,
  EtcdOp,
  EtcdPage,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatch,
  EtcdWatchListener,
  EtcdWatchRange,
} from "../src/log/etcd/rpc/etcd-client.js";

/** What is asked of a fake etcd, so that a test can come between. */
export type FakeCall =
  | { readonly kind: "txn"; readonly txn: EtcdTxn }
  | { readonly kind: "range"; readonly range: EtcdRange & { readonly revision?: bigint } }
  | { readonly kind: "put"; readonly key: Buffer }
  | { readonly kind: "grant" | "revoke" }
  | { readonly kind: "keep-alive"; readonly lease: bigint };

/**
 * What becomes of a call.
 *
 * @param run - does it, and returns the answer; not to call it is to lose the request, and to throw after it is to lose
 *   the answer
 */
export type Behaviour = <T>(call: FakeCall, run: () => T, timeoutMs: number) => Promise<T>;

/** The answer comes, soon. */
export const promptly: Behaviour = async (_call, run) => {
  await Promise.resolve();
  return run();
};

/** What a store had at one moment, as a copy of its data has it. */
export interface Backup {
  readonly changes: readonly EtcdEvent[];
  readonly revision: bigint;
  readonly leases: ReadonlyMap<bigint, number>;
}

/** What etcd answers to what it cannot do. */
export function refusal(text: string): Error {
  return new Error(`3 INVALID_ARGUMENT: etcdserver: ${text}`);
}

/** A request that got no answer. */
export function noAnswer(): Error {
  return new Error("4 DEADLINE_EXCEEDED: no answer");
}

/** An etcd of one member, in memory. Nothing in it happens by time: leases end when the test says so. */
export class FakeEtcd implements EtcdClient {
  /** What becomes of each call; the test's own, or {@link promptly}. */
  behaviour: Behaviour = promptly;
  clusterId = 1n;
  /** Every call, in order. */
  readonly calls: FakeCall[] = [];
  /** The watches that are open. */
  readonly watches = new Set<FakeWatch>();
  /** Every watch that was asked for. */
  readonly watched: EtcdWatchRange[] = [];
  #revision = 1n;
  #compacted = 0n;
  /** All that ever happened in this history. */
  #changes: EtcdEvent[] = [];
  #keys = new Map<string, EtcdKeyValue>();
  #leases = new Map<bigint, number>();
  #nextLease = 0x10n;
  #heldBackAt: bigint | undefined;
  #silent = false;

  get header(): EtcdHeader {
    return { clusterId: this.clusterId, revision: this.#revision };
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** The keys that there are, in their order. */
  get keys(): readonly string[] {
    return this.#sorted(this.#keys).map(({ key }) => key.toString());
  }

  get leases(): readonly bigint[] {
    return [...this.#leases.keys()];
  }

  get(key: Buffer | string): EtcdKeyValue | undefined {
    return this.#keys.get(textOf(key));
  }

  // What the test does to it.

  /** Someone else puts a key. @returns the revision */
  write(key: Buffer | string, value: Buffer | string = "", lease = 0n): bigint {
    this.#commit([{ kind: "put", key: Buffer.from(key), value: Buffer.from(value) }], lease);
    return this.#revision;
  }

  /** Someone else deletes a key. */
  remove(key: Buffer | string): void {
    this.#commit([{ kind: "delete", key: Buffer.from(key) }], 0n);
  }

  /** Others write what is none of ours. */
  pass(revisions: number): void {
    for (let count = 0; count < revisions; count++) {
      this.write("elsewhere");
    }
  }

  /** The lease has lapsed, and its keys go with it. */
  lapse(lease: bigint): void {
    this.#leases.delete(lease);
    const keys = [...this.#keys.values()].filter((kv) => kv.lease === lease).map(({ key }) => key);
    if (keys.length > 0) {
      this.#commit(
        keys.map((key) => ({ kind: "delete", key })),
        0n,
      );
    }
  }

  compact(revision = this.#revision): void {
    this.#compacted = revision;
  }

  /** What is committed from now on is not shown by watches: their member is behind the others. */
  holdWatches(): void {
    this.#heldBackAt ??= this.#revision;
  }

  releaseWatches(): void {
    this.#heldBackAt = undefined;
    for (const watch of this.watches) {
      watch.show();
    }
  }

  /** Watches begin, and show nothing, though their member has it all. */
  silence(): void {
    this.#silent = true;
  }

  speak(): void {
    this.#silent = false;
    for (const watch of this.watches) {
      watch.show();
    }
  }

  /** All watches break off. */
  breakWatches(): void {
    for (const watch of [...this.watches]) {
      watch.end(new Error("14 UNAVAILABLE: connection lost"));
    }
  }

  backup(): Backup {
    return { changes: [...this.#changes], revision: this.#revision, leases: new Map(this.#leases) };
  }

  /** It starts again with what was saved. */
  restore({ changes, revision, leases }: Backup): void {
    this.breakWatches();
    this.#changes = [...changes];
    this.#keys = keysAfter(changes);
    this.#revision = revision;
    this.#leases = new Map(leases);
  }

  /** It starts again with nothing. */
  wipe(): void {
    this.#compacted = 0n;
    this.restore({ changes: [], revision: 1n, leases: new Map() });
  }

  // What is asked of it.

  txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnAnswer> {
    return this.#call({ kind: "txn", txn }, timeoutMs, () => this.execute(txn));
  }

  range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage> {
    return this.#call({ kind: "range", range }, timeoutMs, () => {
      const { revision = this.#revision } = range;
      if (revision < this.#compacted) {
        throw refusal("mvcc: required revision has been compacted");
      }
      const past = revision === this.#revision ? this.#keys : keysAfter(this.#changes, revision);
      const all = this.#within(past, { ...range, limit: Infinity });
      const kvs = this.#within(past, range);
      return { header: this.header, kvs, more: kvs.length < all.length };
    });
  }

  put(
    { key, value, lease }: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader> {
    return this.#call({ kind: "put", key }, timeoutMs, () => {
      if (!this.#leases.has(lease)) {
        throw new Error("5 NOT_FOUND: etcdserver: requested lease not found");
      }
      this.#commit([{ kind: "put", key, value }], lease);
      return this.header;
    });
  }

  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ readonly lease: bigint; readonly ttlSeconds: number }> {
    return this.#call({ kind: "grant" }, timeoutMs, () => {
      const lease = this.#nextLease++;
      this.#leases.set(lease, ttlSeconds);
      return { lease, ttlSeconds };
    });
  }

  keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number> {
    return this.#call({ kind: "keep-alive", lease }, timeoutMs, () => this.#leases.get(lease) ?? 0);
  }

  revokeLease(lease: bigint, timeoutMs: number): Promise<void> {
    return this.#call({ kind: "revoke" }, timeoutMs, () => {
      this.lapse(lease);
    });
  }

  databaseBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  watch(range: EtcdWatchRange, listener: EtcdWatchListener): EtcdWatch {
    this.watched.push(range);
    const watch = new FakeWatch(range, listener, {
      header: () => ({ clusterId: this.clusterId, revision: this.#heldBackAt ?? this.#revision }),
      compacted: () => this.#compacted,
      changes: () => this.#changes,
      isSilent: () => this.#silent,
      ended: () => this.watches.delete(watch),
    });
    this.watches.add(watch);
    queueMicrotask(() => {
      watch.create();
    });
    return watch;
  }

  close(): void {
    this.behaviour = () => Promise.reject(new Error("1 CANCELLED: the client was closed"));
    for (const watch of [...this.watches]) {
      watch.end(undefined);
    }
  }

  /** What a transaction does, at once. */
  execute({ compare, success, failure }: EtcdTxn): EtcdTxnAnswer {
    const succeeded = compare.every((one) => this.#holds(one));
    const ops = succeeded ? success : failure;
    const read = ops.flatMap((op) => (op.kind === "range" ? [this.#within(this.#keys, op)] : []));
    this.#commit(
      ops.filter((op) => op.kind !== "range"),
      0n,
    );
    return { header: this.header, succeeded, read };
  }

  #call<T>(call: FakeCall, timeoutMs: number, run: () => T): Promise<T> {
    this.calls.push(call);
    return this.behaviour(call, run, timeoutMs);
  }

  #commit(ops: readonly Exclude<EtcdOp, { kind: "range" }>[], lease: bigint): void {
    const modRevision = this.#revision + 1n;
    const events: EtcdEvent[] = [];
    for (const op of ops) {
      if (op.kind === "put") {
        const createRevision = this.#keys.get(textOf(op.key))?.createRevision ?? modRevision;
        const kv = { key: Buffer.from(op.key), value: Buffer.from(op.value), createRevision, modRevision, lease };
        this.#keys.set(textOf(op.key), kv);
        events.push({ kind: "put", kv });
      } else {
        for (const { key } of this.#within(this.#keys, op)) {
          this.#keys.delete(textOf(key));
          events.push({
            kind: "delete",
            kv: { key, value: Buffer.alloc(0), createRevision: 0n, modRevision, lease: 0n },
          });
        }
      }
    }
    if (events.length === 0) {
      return;
    }
    this.#revision = modRevision;
    this.#changes.push(...events);
    if (this.#heldBackAt === undefined) {
      for (const watch of this.watches) {
        watch.show();
      }
    }
  }

  #holds({ key, target, result, revision }: EtcdCompare): boolean {
    const kv = this.#keys.get(textOf(key));
    const found = (target === "create" ? kv?.createRevision : kv?.modRevision) ?? 0n;
    switch (result) {
      case "equal":
        return found === revision;
      case "greater":
        return found > revision;
      case "less":
        return found < revision;
    }
  }

  #within(
    keys: ReadonlyMap<string, EtcdKeyValue>,
    { key, end, limit = Infinity, keysOnly = false }: EtcdRange,
  ): EtcdKeyValue[] {
    const isIn = (kv: EtcdKeyValue) =>
      end === undefined ? kv.key.equals(key) : kv.key.compare(key) >= 0 && kv.key.compare(end) < 0;
    const found = this.#sorted(keys).filter(isIn).slice(0, limit);
    return keysOnly ? found.map((kv) => ({ ...kv, value: Buffer.alloc(0) })) : found;
  }

  #sorted(keys: ReadonlyMap<string, EtcdKeyValue>): EtcdKeyValue[] {
    return [...keys.values()].sort((a, b) => a.key.compare(b.key));
  }
}

/** The etcd that a watch is of. */
interface WatchedStore {
  readonly header: () => EtcdHeader;
  readonly compacted: () => bigint;
  readonly changes: () => readonly EtcdEvent[];
  readonly isSilent: () => boolean;
  readonly ended: () => void;
}

/** One watch of a fake etcd. */
export class FakeWatch implements EtcdWatch {
  readonly range: EtcdWatchRange;
  /** Whether it was given up by whoever asked for it. */
  canceled = false;
  readonly #listener: EtcdWatchListener;
  readonly #store: WatchedStore;
  #next: bigint;
  #created = false;
  #ended = false;

  constructor(range: EtcdWatchRange, listener: EtcdWatchListener, store: WatchedStore) {
    this.range = range;
    this.#listener = listener;
    this.#store = store;
    this.#next = range.startRevision === 0n ? store.header().revision + 1n : range.startRevision;
  }

  create(): void {
    if (this.#ended) {
      return;
    }
    this.#created = true;
    this.#respond({ created: true });
    const compactRevision = this.#store.compacted();
    if (this.#next < compactRevision) {
      this.#respond({ canceled: true, cancelReason: "compacted", compactRevision });
      this.end(undefined);
      return;
    }
    this.show();
  }

  /** Tells what it has not told yet. */
  show(): void {
    const upTo = this.#store.header().revision;
    if (!this.#created || this.#ended || this.#store.isSilent() || upTo < this.#next) {
      return;
    }
    const { key, end } = this.range;
    const from = this.#next;
    this.#next = upTo + 1n;
    const isShown = ({ kv }: EtcdEvent) =>
      kv.modRevision >= from && kv.modRevision <= upTo && kv.key.compare(key) >= 0 && kv.key.compare(end) < 0;
    const events = this.#store.changes().filter(isShown);
    if (events.length > 0) {
      this.#respond({ events });
    }
  }

  progress(): void {
    this.#respond({});
  }

  cancel(): void {
    this.canceled = true;
    this.end(new Error("14 UNAVAILABLE: the connection was closed before the answer"));
  }

  end(error: Error | undefined): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#store.ended();
      this.#listener.closed(error);
    }
  }

  #respond(response: Partial<Parameters<EtcdWatchListener["response"]>[0]>): void {
    this.#listener.response({
      header: this.#store.header(),
      created: false,
      canceled: false,
      cancelReason: "",
      compactRevision: 0n,
      events: [],
      ...response,
    });
  }
}

function keysAfter(changes: readonly EtcdEvent[], revision?: bigint): Map<string, EtcdKeyValue> {
  const keys = new Map<string, EtcdKeyValue>();
  for (const { kind, kv } of changes) {
    if (revision !== undefined && kv.modRevision > revision) {
      break;
    }
    if (kind === "put") {
      keys.set(textOf(kv.key), kv);
    } else {
      keys.delete(textOf(kv.key));
    }
  }
  return keys;
}

function textOf(key: Buffer | string): string {
  return Buffer.from(key).toString("latin1");
}

import type {
  EtcdCompare,
  EtcdEvent,
  EtcdHeader,
  EtcdKeyValue,
  EtcdOp,
  EtcdPage,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
} from "../../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";

/** A change of one key, with what was there before. */
export interface Change extends EtcdEvent {
  readonly before: EtcdKeyValue | undefined;
}

/** Everything that one committed request changed. */
export interface Revision {
  readonly revision: bigint;
  readonly events: readonly Change[];
}

const noBytes = Buffer.alloc(0);
const compactedError = "11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted";

/**
 * The keys of an etcd, as far as they are used here: transactions, whose comparisons see the state before them and
 * whose changes get one revision; reads, also of the past; keys under leases; and the history for watches.
 */
export class SimulatedStore {
  readonly clusterId = 1n;
  readonly #keys = new Map<string, EtcdKeyValue>();
  readonly #observers: ((revision: Revision) => void)[] = [];
  #history: Revision[] = [];
  #revision: bigint;
  #compacted: bigint;
  #changed: Change[] = [];

  constructor(firstRevision: bigint) {
    this.#revision = firstRevision;
    this.#compacted = firstRevision;
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** The history is gone up to this revision. */
  get compacted(): bigint {
    return this.#compacted;
  }

  /** Calls back after every commit, in order. */
  observe(observer: (revision: Revision) => void): void {
    this.#observers.push(observer);
  }

  header(): EtcdHeader {
    return { clusterId: this.clusterId, revision: this.#revision };
  }

  txn({ compare, success, failure }: EtcdTxn): EtcdTxnAnswer {
    const succeeded = compare.every((one) => this.#holds(one));
    const read = (succeeded ? success : failure).flatMap((op) => this.#run(op) ?? []);
    this.#commit();
    return { header: this.header(), succeeded, read };
  }

  put(key: Buffer, value: Buffer, lease: bigint): EtcdHeader {
    this.#put(key, value, lease);
    this.#commit();
    return this.header();
  }

  /** Removes all keys of a lease, in one revision. */
  deleteLeased(lease: bigint): void {
    for (const kv of [...this.#keys.values()]) {
      if (kv.lease === lease) {
        this.#delete(kv.key, undefined);
      }
    }
    this.#commit();
  }

  /** @throws Error when the state at the revision is not known any more */
  range({ revision, ...range }: EtcdRange & { readonly revision?: bigint }): EtcdPage {
    if (revision !== undefined && revision < this.#compacted) {
      throw new Error(compactedError);
    }
    const keys = revision === undefined || revision >= this.#revision ? this.#keys : this.#keysAt(revision);
    const found = this.#find(keys, range.key, range.end);
    const kvs = found.slice(0, range.limit ?? found.length);
    return { header: this.header(), kvs: kvs.map((kv) => shown(kv, range.keysOnly)), more: kvs.length < found.length };
  }

  /** What was committed from `start` on; undefined if some of it was compacted. */
  since(start: bigint): readonly Revision[] | undefined {
    return start <= this.#compacted ? undefined : this.#history.filter(({ revision }) => revision >= start);
  }

  /** Forgets the history up to now. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  #keysAt(revision: bigint): Map<string, EtcdKeyValue> {
    const keys = new Map(this.#keys);
    for (const { revision: later, events } of this.#history.toReversed()) {
      if (later <= revision) {
        break;
      }
      for (const { kv, before } of events.toReversed()) {
        if (before === undefined) {
          keys.delete(textOf(kv.key));
        } else {
          keys.set(textOf(kv.key), before);
        }
      }
    }
    return keys;
  }

  #run(op: EtcdOp): [EtcdKeyValue[]] | undefined {
    switch (op.kind) {
      case "put":
        this.#put(op.key, op.value, 0n);
        return undefined;
      case "delete":
        this.#delete(op.key, op.end);
        return undefined;
      case "range": {
        const found = this.#find(this.#keys, op.key, op.end);
        return [found.slice(0, op.limit ?? found.length).map((kv) => shown(kv, op.keysOnly))];
      }
    }
  }

  #put(key: Buffer, value: Buffer, lease: bigint): void {
    const text = textOf(key);
    const before = this.#keys.get(text);
    const modRevision = this.#revision + 1n;
    const kv = { key, value, lease, createRevision: before?.createRevision ?? modRevision, modRevision };
    this.#keys.set(text, kv);
    this.#changed.push({ kind: "put", kv, before });
  }

  #delete(key: Buffer, end: Buffer | undefined): void {
    for (const before of this.#find(this.#keys, key, end)) {
      this.#keys.delete(textOf(before.key));
      const kv = { key: before.key, value: noBytes, lease: 0n, createRevision: 0n, modRevision: this.#revision + 1n };
      this.#changed.push({ kind: "delete", kv, before });
    }
  }

  #commit(): void {
    const events = this.#changed;
    this.#changed = [];
    if (events.length > 0) {
      const revision = { revision: ++this.#revision, events };
      this.#history.push(revision);
      for (const observer of this.#observers) {
        observer(revision);
      }
    }
  }

  #holds({ key, target, result, revision }: EtcdCompare): boolean {
    const kv = this.#keys.get(textOf(key));
    const is = (target === "create" ? kv?.createRevision : kv?.modRevision) ?? 0n;
    switch (result) {
      case "less":
        return is < revision;
      case "greater":
        return is > revision;
      case "equal":
        return is === revision;
    }
  }

  #find(keys: ReadonlyMap<string, EtcdKeyValue>, key: Buffer, end: Buffer | undefined): EtcdKeyValue[] {
    const start = textOf(key);
    if (end === undefined) {
      const kv = keys.get(start);
      return kv === undefined ? [] : [kv];
    }
    const limit = textOf(end);
    const found = [...keys].filter(([text]) => text >= start && text < limit);
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kv]) => kv);
  }
}

function shown(kv: EtcdKeyValue, keysOnly: boolean | undefined): EtcdKeyValue {
  return keysOnly === true ? { ...kv, value: noBytes } : kv;
}

function textOf(key: Buffer): string {
  return key.toString("latin1");
}

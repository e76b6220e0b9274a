import type {
  ICompare,
  IEvent,
  IKeyValue,
  IRangeRequest,
  IRangeResponse,
  IRequestOp,
  IResponseHeader,
  IResponseOp,
  ITxnRequest,
  ITxnResponse,
} from "etcd3";

/** Everything that one committed request changed. */
export interface Revision {
  readonly revision: bigint;
  readonly events: readonly IEvent[];
}

/** etcd's `--max-txn-ops` by default. */
const maxTxnOps = 128;

/**
 * The keys of an etcd, as far as they are used here: transactions with their trap (all comparisons, nested ones too, see
 * the state before the transaction, and all changes get one revision), reads, leased keys, and the history for watches.
 */
export class SimulatedStore {
  readonly #keys = new Map<string, IKeyValue>();
  readonly #observers: ((revision: Revision) => void)[] = [];
  #history: Revision[] = [];
  #revision: bigint;
  #compacted: bigint;
  #changed: IEvent[] = [];

  constructor(firstRevision: bigint) {
    this.#revision = firstRevision;
    this.#compacted = firstRevision;
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** Revision up to which the history is gone. */
  get compacted(): bigint {
    return this.#compacted;
  }

  /** Calls back after every commit, in order. */
  observe(observer: (revision: Revision) => void): void {
    this.#observers.push(observer);
  }

  header(): IResponseHeader {
    return { cluster_id: "1", member_id: "1", revision: this.#revision.toString(), raft_term: "1" };
  }

  /** @throws Error when the request could change one key twice, or has more ops than etcd takes */
  txn(request: ITxnRequest): ITxnResponse {
    const changes = changedKeys(request);
    if (new Set(changes).size < changes.length) {
      throw new Error("3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request");
    }
    if (widthOf(request) > maxTxnOps) {
      throw new Error("3 INVALID_ARGUMENT: etcdserver: too many operations in txn request");
    }
    const response = this.#run(request, new Map(this.#keys));
    this.#commit();
    this.#setHeaders(response);
    return response;
  }

  put(key: Buffer, value: Buffer, lease: string): void {
    this.#put(key, value, lease);
    this.#commit();
  }

  /** Removes all keys of a lease, in one revision. */
  deleteLeased(lease: string): void {
    for (const kv of [...this.#keys.values()]) {
      if (kv.lease === lease) {
        this.#delete(kv.key);
      }
    }
    this.#commit();
  }

  range({ key, range_end: end, count_only: countOnly }: IRangeRequest): IRangeResponse {
    const kvs = this.#find(key, end);
    return { header: this.header(), kvs: countOnly === true ? [] : kvs, more: false, count: kvs.length.toString() };
  }

  /** What was committed from `start` on; undefined when some of it has been compacted. */
  since(start: bigint): readonly Revision[] | undefined {
    return start <= this.#compacted ? undefined : this.#history.filter(({ revision }) => revision >= start);
  }

  /** Forgets the history up to now. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  #run(
    { compare = [], success = [], failure = [] }: ITxnRequest,
    before: ReadonlyMap<string, IKeyValue>,
  ): ITxnResponse {
    const succeeded = compare.every((one) => holds(one, before));
    const responses = (succeeded ? success : failure).map((op) => this.#runOp(op, before));
    return { header: this.header(), succeeded, responses };
  }

  #runOp(op: IRequestOp, before: ReadonlyMap<string, IKeyValue>): IResponseOp {
    const response: Partial<IResponseOp> = {};
    if (op.request_put !== undefined) {
      const { key, value } = op.request_put;
      this.#put(key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), "0");
    } else if (op.request_delete_range !== undefined) {
      this.#delete(op.request_delete_range.key ?? Buffer.alloc(0));
    } else if (op.request_txn !== undefined) {
      response.response_txn = this.#run(op.request_txn, before);
    } else if (op.request_range !== undefined) {
      response.response_range = this.range(op.request_range);
    }
    // A response has the one field that answers its op, as in etcd's oneof.
    return response as IResponseOp;
  }

  #put(key: Buffer, value: Buffer, lease: string): void {
    const text = textOf(key);
    const existing = this.#keys.get(text);
    const revision = (this.#revision + 1n).toString();
    const kv: IKeyValue = {
      key,
      value,
      lease,
      create_revision: existing?.create_revision ?? revision,
      mod_revision: revision,
      version: existing === undefined ? "1" : (BigInt(existing.version) + 1n).toString(),
    };
    this.#keys.set(text, kv);
    this.#changed.push({ type: "Put", kv, prev_kv: existing ?? empty(key) });
  }

  #delete(key: Buffer): void {
    const text = textOf(key);
    const existing = this.#keys.get(text);
    if (existing !== undefined) {
      this.#keys.delete(text);
      const kv = { ...empty(key), mod_revision: (this.#revision + 1n).toString() };
      this.#changed.push({ type: "Delete", kv, prev_kv: existing });
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

  #setHeaders(response: ITxnResponse): void {
    response.header = this.header();
    for (const { response_txn: nested } of response.responses as Partial<IResponseOp>[]) {
      if (nested !== undefined) {
        this.#setHeaders(nested);
      }
    }
  }

  #find(key: Buffer | undefined, end: Buffer | undefined): IKeyValue[] {
    return found(this.#keys, key, end).sort((a, b) => Buffer.compare(a.key, b.key));
  }
}

function holds(compare: ICompare, state: ReadonlyMap<string, IKeyValue>): boolean {
  const { target, result, key, range_end: end, create_revision: create, mod_revision: mod } = compare;
  const wanted = BigInt((target === "Create" ? create : mod) ?? 0);
  const kvs = found(state, key, end);
  const revisions = kvs.map((kv) => BigInt(target === "Create" ? kv.create_revision : kv.mod_revision));
  // A key that is not there has revision 0; a range without keys fits anything.
  return (revisions.length === 0 && end === undefined ? [0n] : revisions).every((revision) => {
    switch (result) {
      case "Less":
        return revision < wanted;
      case "Greater":
        return revision > wanted;
      default:
        return revision === wanted;
    }
  });
}

function found(keys: ReadonlyMap<string, IKeyValue>, key: Buffer | undefined, end: Buffer | undefined): IKeyValue[] {
  const start = textOf(key);
  if (end === undefined) {
    const kv = keys.get(start);
    return kv === undefined ? [] : [kv];
  }
  const limit = textOf(end);
  return [...keys].filter(([text]) => text >= start && text < limit).map(([, kv]) => kv);
}

function changedKeys({ success = [], failure = [] }: ITxnRequest): string[] {
  return [...success, ...failure].flatMap((op) => {
    if (op.request_txn !== undefined) {
      return changedKeys(op.request_txn);
    }
    const key = op.request_put?.key ?? op.request_delete_range?.key;
    return key === undefined ? [] : [textOf(key)];
  });
}

function widthOf({ compare = [], success = [], failure = [] }: ITxnRequest): number {
  const nested = [...success, ...failure].map((op) => (op.request_txn === undefined ? 0 : widthOf(op.request_txn)));
  return Math.max(compare.length, success.length, failure.length) + Math.max(0, ...nested);
}

function empty(key: Buffer): IKeyValue {
  return { key, value: Buffer.alloc(0), lease: "0", create_revision: "0", mod_revision: "0", version: "0" };
}

function textOf(key: Buffer | undefined): string {
  return key?.toString("latin1") ?? "";
}

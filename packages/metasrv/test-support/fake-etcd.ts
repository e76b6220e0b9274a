import type { ICompare, IKeyValue, IRequestOp, IResponseOp, ITxnRequest, ITxnResponse } from "etcd3";

interface Stored {
  readonly value: Buffer;
  readonly create: number;
  readonly mod: number;
}

/**
 * The transactions of etcd, as far as they are used here, with its trap: all comparisons, nested ones too, see the state
 * before the transaction, and all changes get one revision.
 */
export class FakeEtcd {
  /** Every transaction that took effect. */
  readonly requests: ITxnRequest[] = [];
  readonly #keys = new Map<string, Stored>();
  #revision = 9;

  /** Where tickets are. */
  get tickets(): readonly string[] {
    return [...this.#keys.keys()].filter((key) => key.includes("/locks/")).sort();
  }

  /** Puts a key by itself. */
  put(key: Buffer): void {
    this.#revision++;
    this.#keys.set(String(key), { value: Buffer.alloc(0), create: this.#revision, mod: this.#revision });
  }

  /** Removes a key by itself. */
  delete(key: Buffer): void {
    this.#revision++;
    this.#keys.delete(String(key));
  }

  /** @throws Error when the request could change one key twice, or has more ops than etcd takes by default */
  execute(request: ITxnRequest, maxTxnOps = 128): ITxnResponse {
    const changes = changedKeys(request);
    if (new Set(changes).size < changes.length) {
      throw new Error("etcdserver: duplicate key given in txn request");
    }
    if (widthOf(request) > maxTxnOps) {
      throw new Error("etcdserver: too many operations in txn request");
    }
    this.requests.push(request);
    const response = this.#run(request, new Map(this.#keys), this.#revision + 1);
    if (changes.length > 0) {
      this.#revision++;
    }
    return response;
  }

  #run(request: ITxnRequest, before: ReadonlyMap<string, Stored>, revision: number): ITxnResponse {
    const { compare = [], success = [], failure = [] } = request;
    const succeeded = compare.every((one) => holds(one, before));
    const responses = (succeeded ? success : failure).map((op) => this.#runOp(op, before, revision) as IResponseOp);
    return { header: header(revision), succeeded, responses };
  }

  #runOp(op: IRequestOp, before: ReadonlyMap<string, Stored>, revision: number): Partial<IResponseOp> {
    if (op.request_put !== undefined) {
      const key = String(op.request_put.key);
      const create = this.#keys.get(key)?.create ?? revision;
      this.#keys.set(key, { value: op.request_put.value ?? Buffer.alloc(0), create, mod: revision });
      return { response_put: { header: header(revision), prev_kv: kvOf(key, undefined) } };
    }
    if (op.request_delete_range !== undefined) {
      const deleted = this.#keys.delete(String(op.request_delete_range.key)) ? "1" : "0";
      return { response_delete_range: { header: header(revision), deleted, prev_kvs: [] } };
    }
    if (op.request_txn !== undefined) {
      return { response_txn: this.#run(op.request_txn, before, revision) };
    }
    const key = String(op.request_range?.key);
    const stored = this.#keys.get(key);
    const kvs = stored === undefined ? [] : [kvOf(key, stored)];
    return { response_range: { header: header(revision), kvs, more: false, count: kvs.length.toString() } };
  }
}

function holds({ target, result, key, range_end, ...wanted }: ICompare, state: ReadonlyMap<string, Stored>): boolean {
  const start = String(key);
  const end = range_end === undefined ? undefined : String(range_end);
  const found = [...state].filter(([name]) => (end === undefined ? name === start : name >= start && name < end));
  const revisions = found.map(([, { create, mod }]) => (target === "Create" ? create : mod));
  const expected = Number(target === "Create" ? wanted.create_revision : wanted.mod_revision);
  // A key that is not there has revision 0; a range without keys has nothing that could differ.
  const compared = revisions.length === 0 && end === undefined ? [0] : revisions;
  return compared.every((revision) => {
    switch (result) {
      case "Less":
        return revision < expected;
      case "Greater":
        return revision > expected;
      default:
        return revision === expected;
    }
  });
}

function changedKeys({ success = [] }: ITxnRequest): string[] {
  return success.flatMap(({ request_put, request_delete_range, request_txn }) =>
    request_txn === undefined
      ? [request_put?.key, request_delete_range?.key].filter((key) => key !== undefined).map(String)
      : changedKeys(request_txn),
  );
}

/** A transaction's ops count, and those of the widest one in it. */
function widthOf({ compare = [], success = [], failure = [] }: ITxnRequest): number {
  const inner = [...success, ...failure].map(({ request_txn }) =>
    request_txn === undefined ? 0 : widthOf(request_txn),
  );
  return Math.max(compare.length, success.length, failure.length) + Math.max(0, ...inner);
}

function kvOf(key: string, stored: Stored | undefined): IKeyValue {
  const { value = Buffer.alloc(0), create = 0, mod = 0 } = stored ?? {};
  return {
    key: Buffer.from(key),
    value,
    create_revision: create.toString(),
    mod_revision: mod.toString(),
    version: "1",
    lease: "0",
  };
}

function header(revision: number): ITxnResponse["header"] {
  return { cluster_id: "1", member_id: "1", revision: revision.toString(), raft_term: "1" };
}

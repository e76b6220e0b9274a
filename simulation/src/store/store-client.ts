import type { IPutRequest, IRangeRequest, IRangeResponse, ITxnRequest, ITxnResponse } from "etcd3";
import type { EtcdClient, WatchStream } from "../../../packages/metasrv/src/log/etcd/etcd-client.js";
import { EtcdKeys } from "../../../packages/metasrv/src/log/etcd/etcd-keys.js";
import type { StoreLink } from "./store-link.js";
import { StoreWatch } from "./store-watch.js";

/** The prefix of everything in the store. */
export const storeKeys = new EtcdKeys("metasrv");

const refusedForSpace = "8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded";

/** What one node has instead of a client of etcd. */
export class StoreClient implements EtcdClient {
  readonly #link: StoreLink;
  readonly #watches = new Set<StoreWatch>();

  constructor(link: StoreLink) {
    this.#link = link;
  }

  /** The watches that are open. */
  get watches(): ReadonlySet<StoreWatch> {
    return this.#watches;
  }

  txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse> {
    const { cluster } = this.#link;
    return this.#link.call(`transaction ${describeTxn(request)}`, timeoutMs, () => {
      if (cluster.full && puts(request)) {
        throw new Error(refusedForSpace);
      }
      return cluster.store.txn(request);
    });
  }

  watchStream(): WatchStream {
    const watch = new StoreWatch(this.#link);
    this.#watches.add(watch);
    watch.stream.on("error", () => {
      this.#watches.delete(watch);
    });
    return watch.stream;
  }

  range(request: IRangeRequest, timeoutMs: number): Promise<IRangeResponse> {
    return this.#link.call("range", timeoutMs, () => this.#link.cluster.store.range(request));
  }

  put({ key, value, lease }: IPutRequest, timeoutMs: number): Promise<void> {
    const { cluster } = this.#link;
    return this.#link.call("put of the member", timeoutMs, () => {
      if (cluster.full) {
        throw new Error(refusedForSpace);
      }
      cluster.putLeased(key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), String(lease));
    });
  }

  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ id: string; ttlSeconds: number }> {
    return this.#link.call("lease grant", timeoutMs, () => ({
      id: this.#link.cluster.grantLease(ttlSeconds),
      ttlSeconds,
    }));
  }

  keepLeaseAlive(id: string, timeoutMs: number): Promise<number> {
    return this.#link.call("lease keep-alive", timeoutMs, () => this.#link.cluster.keepLeaseAlive(id));
  }

  revokeLease(id: string, timeoutMs: number): Promise<void> {
    return this.#link.call("lease revoke", timeoutMs, () => {
      this.#link.cluster.revokeLease(id);
    });
  }

  close(): void {
    this.#link.breakStreams();
  }
}

function puts({ success = [], failure = [] }: ITxnRequest): boolean {
  return [...success, ...failure].some(
    (op) => op.request_put !== undefined || (op.request_txn !== undefined && puts(op.request_txn)),
  );
}

function describeTxn({ success = [] }: ITxnRequest): string {
  return success
    .map((op) => {
      if (op.request_txn !== undefined) {
        return describeTxn(op.request_txn);
      }
      const key = op.request_put?.key ?? op.request_delete_range?.key;
      const [, , name = "", id = ""] = (key?.toString() ?? "").split("/");
      const what = op.request_put !== undefined ? "put" : op.request_delete_range !== undefined ? "delete" : "read";
      return `${what} ${name}/${id.slice(0, 6)}`;
    })
    .join(", ");
}

import { LogKeys } from "../../../packages/metasrv/src/log/etcd/keys.js";
import type {
  EtcdClient,
  EtcdHeader,
  EtcdPage,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatch,
  EtcdWatchListener,
} from "../../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";
import type { StoreLink } from "./store-link.js";
import { StoreWatch } from "./store-watch.js";

/** The prefix of everything in the store. */
export const storeKeys = new LogKeys("metasrv");

const refusedForSpace = "8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded";

/** Takes the place of a node's etcd client. */
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

  txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnAnswer> {
    const { cluster } = this.#link;
    return this.#link.call(`transaction ${describeTxn(txn)}`, timeoutMs, () => {
      if (cluster.full && [...txn.success, ...txn.failure].some(({ kind }) => kind === "put")) {
        throw new Error(refusedForSpace);
      }
      return cluster.store.txn(txn);
    });
  }

  watch(
    range: { readonly key: Buffer; readonly end: Buffer; readonly startRevision: bigint },
    listener: EtcdWatchListener,
  ): EtcdWatch {
    const watch = new StoreWatch(this.#link, range, {
      response: (response) => {
        listener.response(response);
      },
      closed: (error) => {
        this.#watches.delete(watch);
        listener.closed(error);
      },
    });
    this.#watches.add(watch);
    return {
      progress: () => undefined,
      cancel: () => {
        watch.stream.cancel();
      },
    };
  }

  range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage> {
    return this.#link.call("range", timeoutMs, () => this.#link.cluster.store.range(range));
  }

  put(
    { key, value, lease }: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader> {
    const { cluster } = this.#link;
    return this.#link.call("put of the member", timeoutMs, () => {
      if (cluster.full) {
        throw new Error(refusedForSpace);
      }
      return cluster.putLeased(key, value, lease);
    });
  }

  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ lease: bigint; ttlSeconds: number }> {
    return this.#link.call("lease grant", timeoutMs, () => ({
      lease: this.#link.cluster.grantLease(ttlSeconds),
      ttlSeconds,
    }));
  }

  keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number> {
    return this.#link.call("lease keep-alive", timeoutMs, () => this.#link.cluster.keepLeaseAlive(lease));
  }

  revokeLease(lease: bigint, timeoutMs: number): Promise<void> {
    return this.#link.call("lease revoke", timeoutMs, () => {
      this.#link.cluster.revokeLease(lease);
    });
  }

  databaseBytes(timeoutMs: number): Promise<number> {
    return this.#link.call("status", timeoutMs, () => 0);
  }

  close(): void {
    this.#link.breakStreams();
  }
}

function describeTxn({ success }: EtcdTxn): string {
  return success
    .map(({ kind, key }) => {
      const [, , folder = "", member = "", sequence = ""] = key.toString().split("/");
      return `${kind} ${folder}/${member.slice(-4)}/${sequence.replace(/^0+/, "")}`;
    })
    .join(", ");
}

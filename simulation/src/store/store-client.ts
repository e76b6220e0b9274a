import type { EtcdFeedOptions } from "../../../packages/metasrv/src/log/etcd/etcd-feed.js";
import type { EtcdMembershipOptions } from "../../../packages/metasrv/src/log/etcd/etcd-membership.js";
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse, IRangeRequest, ITxnRequest, ITxnResponse } from "etcd3";
import type { StoreLink } from "./store-link.js";
import { StoreStream } from "./store-stream.js";
import { StoreWatch } from "./store-watch.js";

interface CallOptions {
  readonly deadline?: number | Date;
}

const refusedForSpace = "8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded";

/** Runs a transaction at the store, and what else it does with one, such as counting. */
export type Txn = (request: ITxnRequest, timeoutMs: number) => Promise<ITxnResponse>;

/** The client of etcd, as the feed and the membership use it. */
export type StoreClient = EtcdFeedOptions["client"] & EtcdMembershipOptions["client"];

/** What one node has instead of a connection to etcd. */
export interface StoreConnection {
  readonly client: StoreClient;
  readonly txn: Txn;
  /** The watches that are open. */
  readonly watches: ReadonlySet<StoreWatch>;
}

export function connectStore(link: StoreLink): StoreConnection {
  const { cluster } = link;
  const { store } = cluster;
  const watches = new Set<StoreWatch>();
  const txn: Txn = (request, timeoutMs) =>
    link.call(`transaction ${describeTxn(request)}`, timeoutMs, () => {
      if (cluster.full && puts(request)) {
        throw new Error(refusedForSpace);
      }
      return store.txn(request);
    });
  const client = {
    kv: {
      range: (request: IRangeRequest, options: CallOptions) =>
        link.call("range", timeoutOf(options), () => store.range(request)),
      put: ({ key, value, lease }: { key: Buffer; value: Buffer; lease: string }, options: CallOptions) =>
        link.call("put of the member", timeoutOf(options), () => {
          if (cluster.full) {
            throw new Error(refusedForSpace);
          }
          cluster.putLeased(key, value, lease);
          return { header: store.header() };
        }),
    },
    leaseClient: {
      leaseGrant: ({ TTL }: { TTL: number }, options: CallOptions) =>
        link.call("lease grant", timeoutOf(options), () => ({ ID: cluster.grantLease(TTL), TTL: TTL.toString() })),
      leaseRevoke: ({ ID }: { ID: string }, options: CallOptions) =>
        link.call("lease revoke", timeoutOf(options), () => {
          cluster.revokeLease(ID);
          return {};
        }),
      leaseKeepAlive: () => {
        const stream = new StoreStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>(link, ({ ID }) => {
          const id = String(ID);
          const TTL = cluster.keepLeaseAlive(id).toString();
          stream.send({ header: store.header(), ID: id, TTL });
        });
        return Promise.resolve(stream);
      },
    },
    watchStream: () => {
      const watch = new StoreWatch(link);
      watches.add(watch);
      watch.stream.on("error", () => {
        watches.delete(watch);
      });
      return Promise.resolve(watch.stream);
    },
  };
  // The client's class has private members; what is used of it is above, and the simulation fails on anything else.
  return { client: client as unknown as StoreClient, txn, watches };
}

function timeoutOf({ deadline = Infinity }: CallOptions): number {
  return Math.max(0, Number(deadline) - Date.now());
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

import type { ITxnRequest } from "etcd3";
import { EtcdCommitter, type EtcdCommitterOptions } from "../../packages/metasrv/src/log/etcd/etcd-committer.js";
import { storeKeys } from "./store/store-client.js";

/** A group commit whose transactions do not ask whether the members are there for which they write. */
export function writesForGoneMembers(options: EtcdCommitterOptions): EtcdCommitter {
  return new EtcdCommitter({ ...options, txn: (request) => options.txn(withoutMembers(request)) });
}

function withoutMembers({ compare = [], success = [], failure = [] }: ITxnRequest): ITxnRequest {
  return {
    compare: compare.filter(({ key }) => key === undefined || storeKeys.parse(key)?.kind !== "member"),
    success: success.map((op) => (op.request_txn === undefined ? op : { request_txn: withoutMembers(op.request_txn) })),
    failure,
  };
}

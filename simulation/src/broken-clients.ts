import type { EtcdLogParts } from "../../packages/metasrv/src/log/etcd/etcd-log.js";
import type { EtcdClient, EtcdTxn } from "../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";
import { storeKeys } from "./store/store-client.js";

/** Entries are written without a look at whether their member is there. */
export function writesForGoneMembers(parts: EtcdLogParts): EtcdLogParts {
  return {
    ...parts,
    txn: (txn) =>
      parts.txn({ ...txn, compare: txn.compare.filter(({ key }) => storeKeys.parse(key)?.kind !== "member") }),
  };
}

/** The base is pointed to a snapshot of which not every chunk is there. */
export function losesChunks(parts: EtcdLogParts): EtcdLogParts {
  return withTxn(parts, (txn) => ({
    ...txn,
    success: txn.success.filter(({ kind, key }) => kind !== "put" || storeKeys.parse(key)?.kind !== "chunk"),
  }));
}

/** Trimming deletes all entries of a member, those that no snapshot covers too. */
export function trimsTooMuch(parts: EtcdLogParts): EtcdLogParts {
  return withTxn(parts, (txn) => ({
    ...txn,
    success: txn.success.map((op) => {
      const key = storeKeys.parse(op.key);
      return op.kind === "delete" && key?.kind === "entry" ? { ...op, end: storeKeys.entriesOf(key.memberId).end } : op;
    }),
  }));
}

/** Snapshots and trimming alone go this way: entries are written by `parts.txn`. */
function withTxn(parts: EtcdLogParts, changed: (txn: EtcdTxn) => EtcdTxn): EtcdLogParts {
  const { client } = parts;
  const wrapped: EtcdClient = {
    txn: (txn, timeoutMs) => client.txn(changed(txn), timeoutMs),
    watch: (range, listener) => client.watch(range, listener),
    range: (range, timeoutMs) => client.range(range, timeoutMs),
    put: (request, timeoutMs) => client.put(request, timeoutMs),
    grantLease: (ttlSeconds, timeoutMs) => client.grantLease(ttlSeconds, timeoutMs),
    keepLeaseAlive: (lease, timeoutMs) => client.keepLeaseAlive(lease, timeoutMs),
    revokeLease: (lease, timeoutMs) => client.revokeLease(lease, timeoutMs),
    databaseBytes: (timeoutMs) => client.databaseBytes(timeoutMs),
    close: () => {
      client.close();
    },
  };
  return { ...parts, client: wrapped };
}

import type { EtcdLogParts } from "../../packages/metasrv/src/log/etcd/etcd-log.js";
import type { EtcdClient, EtcdTxn } from "../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";
import { storeKeys } from "./store/store-client.js";

/** Entries are written even if their member's key is gone. */
export function writesForGoneMembers(parts: EtcdLogParts): EtcdLogParts {
  return {
    ...parts,
    txn: (txn) =>
      parts.txn({ ...txn, compare: txn.compare.filter(({ key }) => storeKeys.parse(key)?.kind !== "member") }),
  };
}

/** The base names a snapshot that lacks some of its chunks. */
export function losesChunks(parts: EtcdLogParts): EtcdLogParts {
  return withTxn(parts, (txn) => ({
    ...txn,
    success: txn.success.filter(({ kind, key }) => kind !== "put" || storeKeys.parse(key)?.kind !== "chunk"),
  }));
}

/** Trimming deletes all entries of a member, even those that no snapshot covers. */
export function trimsTooMuch(parts: EtcdLogParts): EtcdLogParts {
  return withTxn(parts, (txn) => ({
    ...txn,
    success: txn.success.map((op) => {
      const key = storeKeys.parse(op.key);
      return op.kind === "delete" && key?.kind === "entry" ? { ...op, end: storeKeys.entriesOf(key.memberId).end } : op;
    }),
  }));
}

/** Only snapshots and trimming use this client. Entries are written by `parts.txn`. */
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

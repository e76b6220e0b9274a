/** What an etcd has counted since it started. */
export interface EtcdMetrics {
  /** Bytes written to the write-ahead log. */
  readonly walBytes: number;
  /** Entries of its Raft log. Every change is one. */
  readonly proposals: number;
  /** Calls of `Txn`. */
  readonly txns: number;
  /** etcd has removed what is older than this revision; -1 if it has removed nothing. */
  readonly compactRevision: number;
  readonly revision: number;
}

const wanted = {
  // etcd has this metric since 3.4.
  walBytes: /^etcd_disk_wal_write_bytes_total (\S+)$/m,
  proposals: /^etcd_server_proposals_committed_total (\S+)$/m,
  txns: /^grpc_server_started_total\{grpc_method="Txn",grpc_service="etcdserverpb\.KV",grpc_type="unary"\} (\S+)$/m,
  compactRevision: /^etcd_debugging_mvcc_compact_revision (\S+)$/m,
  revision: /^etcd_debugging_mvcc_current_revision (\S+)$/m,
} as const satisfies Record<keyof EtcdMetrics, RegExp>;

/**
 * Reads an etcd's `/metrics`.
 *
 * @param endpoint - as host:port
 * @throws Error when a metric is missing
 */
export async function readEtcdMetrics(endpoint: string): Promise<EtcdMetrics> {
  const response = await fetch(`http://${endpoint}/metrics`, { headers: { connection: "close" } });
  const text = await response.text();
  const read = (name: keyof EtcdMetrics): number => {
    const value = Number(wanted[name].exec(text)?.[1] ?? NaN);
    if (Number.isNaN(value)) {
      throw new Error(`this etcd's metrics do not have ${wanted[name].source}`);
    }
    return value;
  };
  return {
    walBytes: read("walBytes"),
    proposals: read("proposals"),
    txns: read("txns"),
    compactRevision: read("compactRevision"),
    revision: read("revision"),
  };
}

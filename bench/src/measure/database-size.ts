import { EtcdRpc } from "../peers/etcd-rpc.js";

/** An etcd's database, in bytes. */
export interface DatabaseSize {
  /** Its file. */
  readonly file: number;
  /** The part of the file that is in use. The rest is used before the file grows. */
  readonly used: number;
}

/** Asks an etcd, at host:port, for its status. */
export async function databaseSize(endpoint: string): Promise<DatabaseSize> {
  const rpc = new EtcdRpc(endpoint);
  try {
    const { dbSize, dbSizeInUse } = await rpc.method("etcdserverpb.Maintenance/Status")({});
    return { file: Number(dbSize), used: Number(dbSizeInUse) };
  } finally {
    rpc.close();
  }
}

/** Lets an etcd shrink its file to what is in use. */
export async function defragment(endpoint: string): Promise<void> {
  const rpc = new EtcdRpc(endpoint);
  try {
    await rpc.method("etcdserverpb.Maintenance/Defragment")({});
  } finally {
    rpc.close();
  }
}

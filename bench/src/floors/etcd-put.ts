import { EtcdRpc } from "../peers/etcd-rpc.js";
import type { LockClient } from "../peers/lock-client.js";

/** Only puts, one after the other, of small values: what any lock in etcd must cost without batching. */
export function openEtcdPut(address: string, puts: 1 | 2): LockClient {
  const rpc = new EtcdRpc(address);
  const put = rpc.method("etcdserverpb.KV/Put");
  const value = Buffer.alloc(48, 1);
  return {
    caller: (index) => {
      // Each caller always puts the same key, so that the store does not grow.
      const key = Buffer.from(`bench-put/${process.pid}/${index}`);
      return Promise.resolve({
        cycle: async () => {
          for (let n = 0; n < puts; n++) {
            await put({ key, value });
          }
        },
      });
    },
  };
}

import { EtcdRpc } from "./etcd-rpc.js";
import type { LockClient } from "./lock-client.js";

// Longer than any run, so that no lease needs to be kept alive.
const leaseSeconds = "3600";

/**
 * etcd's own lock service, used as a plain gRPC client would use it, with one lease for each caller, made beforehand.
 */
export function openV3Lock(address: string): LockClient {
  const rpc = new EtcdRpc(address);
  const lock = rpc.method("v3lockpb.Lock/Lock");
  const unlock = rpc.method("v3lockpb.Lock/Unlock");
  const grantLease = rpc.method("etcdserverpb.Lease/LeaseGrant");
  return {
    caller: async () => {
      const { ID: lease } = await grantLease({ TTL: leaseSeconds });
      return {
        cycle: async (name) => {
          const { key } = await lock({ name: Buffer.from(name), lease });
          await unlock({ key });
        },
      };
    },
  };
}

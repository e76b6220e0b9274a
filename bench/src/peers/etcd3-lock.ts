import { Etcd3 } from "etcd3";
import { cycleTtlMs, type LockClient } from "./lock-client.js";

/** The lock of the npm package etcd3. It makes a lease for every lock, and does not wait. */
export function openEtcd3Lock(address: string): LockClient {
  const client = new Etcd3({ hosts: `http://${address}` });
  return {
    caller: () =>
      Promise.resolve({
        cycle: async (name) => {
          const lock = await client
            .lock(name)
            .ttl(cycleTtlMs / 1000)
            .acquire();
          await lock.release();
        },
      }),
  };
}

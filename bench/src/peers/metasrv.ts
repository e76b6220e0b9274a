import { MetaClient } from "@metasrv/meta-client";
import { cycleTtlMs, type LockClient } from "./lock-client.js";

/** metasrv by its TypeScript client; with several nodes, the callers are spread over them. */
export function openMetasrv(urls: readonly string[]): LockClient {
  const clients = urls.map((url) => new MetaClient({ endpoints: [url], discover: false }));
  return {
    caller: (index) => {
      const client = clients[index % clients.length];
      if (client === undefined) {
        return Promise.reject(new Error("there is no node to call"));
      }
      return Promise.resolve({
        cycle: async (name) => {
          const lock = await client.lock(name, { ttlMs: cycleTtlMs });
          await lock.release();
        },
      });
    },
  };
}

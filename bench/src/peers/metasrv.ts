import { MetaClient } from "@metasrv/meta-client";
import { cycleTtlMs, type LockClient } from "./lock-client.js";

/**
 * metasrv by its TypeScript client; with several nodes, the callers are spread over them.
 *
 * @param ca - the certificate of the authority that is trusted, in PEM; absent: without TLS
 */
export function openMetasrv(urls: readonly string[], ca?: string): LockClient {
  const tls = ca === undefined ? undefined : { ca };
  const clients = urls.map((url) => new MetaClient({ endpoints: [url], discover: false, tls }));
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

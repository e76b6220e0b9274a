import { MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import type { LockDriver } from "../lock-driver.js";
import { ClientLocks } from "./client-locks.js";
import { WireDriver } from "./wire-driver.js";
import { WireNode, type WireStore } from "./wire-node.js";

/**
 * The TypeScript client, with options that say how it speaks.
 *
 * @param wayTo - where it reaches the server of that URL, and what is on the way, to be disposed of after the client
 */
export function openMetaClient(
  options: Partial<MetaClientOptions>,
  store: WireStore,
  wayTo: (url: string) => Way | Promise<Way> = (url) => ({ url }),
): Promise<LockDriver> {
  return WireNode.open(store, async (node) => {
    const { url, proxy } = await wayTo(node.url);
    const client = new MetaClient({ ...options, endpoints: [url], discover: false });
    return new WireDriver(node, new ClientLocks(client), {
      async [Symbol.asyncDispose]() {
        await client.close();
        await proxy?.[Symbol.asyncDispose]();
      },
    });
  });
}

/** How a client reaches a server. */
export interface Way {
  readonly url: string;
  readonly proxy?: AsyncDisposable;
}

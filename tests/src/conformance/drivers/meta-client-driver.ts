import { MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import type { LockDriver } from "../lock-driver.js";
import { ClientLocks } from "./client-locks.js";
import { WireDriver } from "./wire-driver.js";
import { WireNode, type WireStore } from "./wire-node.js";

/**
 * The TypeScript client, with options that say how it speaks.
 *
 * @param urlOf - where it reaches the server of that URL
 */
export function openMetaClient(
  options: Partial<MetaClientOptions>,
  store: WireStore,
  urlOf = (url: string) => url,
): Promise<LockDriver> {
  return WireNode.open(store, (node) => {
    const client = new MetaClient({ ...options, endpoints: [urlOf(node.url)], discover: false });
    return new WireDriver(node, new ClientLocks(client), client);
  });
}

import { FatalError } from "../../model/fatal-error.js";
import type { LogKeys } from "./keys.js";
import type { EtcdClient } from "./rpc/etcd-client.js";

const keysLookedAt = 100;

/**
 * The first design of this software, which was never released, kept a key for each ticket. A server that went on beside
 * those would not know of the locks that they hold.
 *
 * @throws FatalError when such keys are there; Error as etcd's client
 */
export async function checkFirstDesign(
  client: Pick<EtcdClient, "range">,
  keys: LogKeys,
  timeoutMs: number,
): Promise<void> {
  for (const range of keys.firstDesign) {
    const { kvs } = await client.range({ ...range, keysOnly: true, limit: keysLookedAt }, timeoutMs);
    const found = kvs.map(({ key }) => key.toString()).find((key) => /\/locks\/[^/]+\/[0-9a-f]{32}$/.test(key));
    if (found !== undefined) {
      throw new FatalError(
        `etcd has locks of an earlier layout of metasrv under this prefix, such as ${found}, which this version does not ` +
          "read: stop all servers of the earlier version, wait until their locks have expired, and delete the keys under " +
          `${range.key.toString()}; or choose another prefix`,
      );
    }
  }
}

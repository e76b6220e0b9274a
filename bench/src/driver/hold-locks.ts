import { MetaClient } from "@metasrv/meta-client";
import { concurrently } from "./concurrently.js";

/**
 * Takes locks in the original form, of which the client keeps nothing. They stay held at the server.
 *
 * @param families - how many families of names they are spread over
 */
export async function holdLocks(url: string, count: number, ttlSeconds: number, families = 1): Promise<void> {
  await using client = new MetaClient({ endpoints: [url], discover: false });
  await concurrently(count, 512, (index) =>
    client.lock({
      name: `held${families === 1 ? "" : index % families}/${process.pid}/${index}`,
      expireSecs: ttlSeconds,
    }),
  );
}

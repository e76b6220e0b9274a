import { MetaClient } from "@metasrv/meta-client";
import { concurrently } from "./concurrently.js";

/** Takes locks in the original form, of which the client keeps nothing. They stay held at the server. */
export async function holdLocks(url: string, count: number, ttlSeconds: number): Promise<void> {
  await using client = new MetaClient({ endpoints: [url], discover: false });
  await concurrently(count, 512, (index) =>
    client.lock({ name: `held/${process.pid}/${index}`, expireSecs: ttlSeconds }),
  );
}

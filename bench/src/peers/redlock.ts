import Redlock from "redlock";
import { cycleTtlMs, type LockClient } from "./lock-client.js";
import { connectRedis } from "./redis-connection.js";

/** Redlock over one Redis. It waits by polling: here without an end, otherwise with its defaults. */
export async function openRedlock(address: string): Promise<LockClient> {
  const redis = await connectRedis(address);
  const redlock = new Redlock([redis], { retryCount: -1 });
  return {
    caller: () =>
      Promise.resolve({
        cycle: async (name) => {
          const lock = await redlock.acquire([name], cycleTtlMs);
          await lock.release();
        },
      }),
  };
}

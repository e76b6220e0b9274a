import { Mutex } from "redis-semaphore";
import { cycleTtlMs, type LockClient } from "./lock-client.js";
import { connectRedis } from "./redis-connection.js";

/** The mutex of redis-semaphore over one Redis. It waits by polling, every 10 ms by default. */
export async function openRedisSemaphore(address: string): Promise<LockClient> {
  const redis = await connectRedis(address);
  return {
    caller: () =>
      Promise.resolve({
        cycle: async (name) => {
          const mutex = new Mutex(redis, name, { lockTimeout: cycleTtlMs, acquireTimeout: 600_000 });
          await mutex.acquire();
          await mutex.release();
        },
      }),
  };
}

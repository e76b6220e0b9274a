import { Semaphore } from "redis-semaphore";
import { type TakerClient, unknownKind } from "./ask.js";
import { cycleTtlMs } from "./lock-client.js";
import { connectRedis } from "./redis-connection.js";

/** The semaphore of redis-semaphore over one Redis. It waits by polling, every 10 ms by default. */
export async function openRedisSemaphoreTaker(address: string): Promise<TakerClient> {
  const redis = await connectRedis(address);
  return {
    taker: () =>
      Promise.resolve({
        take: async (ask) => {
          if (ask.kind !== "permit") {
            throw unknownKind(ask);
          }
          const timeouts = { lockTimeout: cycleTtlMs, acquireTimeout: 600_000 };
          const semaphore = new Semaphore(redis, ask.name, ask.limit, timeouts);
          await semaphore.acquire();
          return () => semaphore.release();
        },
      }),
  };
}

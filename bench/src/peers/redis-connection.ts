import { Redis } from "ioredis";

/** Connects to Redis at host:port. */
export async function connectRedis(address: string): Promise<Redis> {
  const [host = "", port] = address.split(":");
  const redis = new Redis({ host, port: Number(port), lazyConnect: true });
  await redis.connect();
  return redis;
}

import { MetaClient } from "@metasrv/meta-client";
import type { Ask, TakerClient } from "./ask.js";
import { cycleTtlMs } from "./lock-client.js";

const options = { ttlMs: cycleTtlMs } as const;

interface Held {
  release(): Promise<unknown>;
}

/**
 * All kinds of locks of metasrv by its TypeScript client.
 *
 * @param groups - how several locks are taken: by one call, or one after the other in the order of their names
 */
export function openMetasrvTaker(urls: readonly string[], groups: "at-once" | "singly"): TakerClient {
  const client = new MetaClient({ endpoints: [...urls], discover: false });
  const takeGroup = groups === "at-once" ? takeAtOnce : takeSingly;
  const taker = {
    take: async (ask: Ask) => {
      const held = ask.kind === "group" ? await takeGroup(client, ask.names) : [await takeOne(client, ask)];
      return async () => {
        await Promise.all(held.map((lock) => lock.release()));
      };
    },
  };
  return { taker: () => Promise.resolve(taker) };
}

function takeOne(client: MetaClient, ask: Exclude<Ask, { kind: "group" }>): Promise<Held> {
  switch (ask.kind) {
    case "exclusive":
      return client.lock(ask.name, options);
    case "shared":
      return client.lock(ask.name, { ...options, mode: "shared" });
    case "permit":
      return client.semaphore(ask.name, { limit: ask.limit }).acquire(options);
  }
}

async function takeAtOnce(client: MetaClient, names: readonly string[]): Promise<readonly Held[]> {
  return [await client.lockAll(names, options)];
}

async function takeSingly(client: MetaClient, names: readonly string[]): Promise<readonly Held[]> {
  const held: Held[] = [];
  for (const name of names) {
    held.push(await client.lock(name, options));
  }
  return held;
}

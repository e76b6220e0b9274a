import { Etcd3, type IKeyValue, type Lease } from "etcd3";
import { type Ask, type Release, type Taker, type TakerClient, unknownKind } from "./ask.js";

// Longer than any run, so that no lease needs to be kept alive.
const leaseSeconds = 3_600;

/** Where the key of a request lies, and by which earlier keys it has to wait. */
interface Place {
  readonly folder: string;
  readonly before: string;
  /** With how many of them at most it may hold. */
  readonly beside: number;
}

/**
 * Semaphores and locks of readers and writers as Curator has them on ZooKeeper, made of the npm package etcd3: a key
 * for each request, on a lease of its caller. It is written, and what came before it is read, in one transaction; then
 * deletions are counted by a watch until few enough of the earlier keys are left.
 */
export async function openEtcd3Recipe(address: string): Promise<TakerClient> {
  const client = new Etcd3({ hosts: `http://${address}` });
  // etcd3 closes its stream of watches when the last one ends, and opens it again only after a delay. This one stays.
  await client.watch().key("recipe-idle").create();
  return {
    taker: async () => {
      const lease = client.lease(leaseSeconds, { autoKeepAlive: false });
      return new RecipeTaker(client, lease, await lease.grant());
    },
  };
}

class RecipeTaker implements Taker {
  readonly #client: Etcd3;
  readonly #lease: Lease;
  readonly #id: string;
  #requests = 0;

  constructor(client: Etcd3, lease: Lease, id: string) {
    this.#client = client;
    this.#lease = lease;
    this.#id = id;
  }

  async take(ask: Ask): Promise<Release> {
    const { folder, before, beside } = placeOf(ask);
    const key = `${folder}${this.#id}-${++this.#requests}`;
    const { header, responses } = await this.#client
      .if(key, "Create", "==", 0)
      .then(this.#lease.put(key).value(""), this.#client.getAll().prefix(before))
      .commit();
    // All of them are earlier: the transaction reads what was there when it wrote its key.
    const earlier = new Set((responses[1]?.response_range.kvs ?? []).map((kv) => kv.key.toString()));
    earlier.delete(key);
    if (earlier.size > beside) {
      await this.#untilLeft(before, earlier, beside, Number(header.revision));
    }
    return async () => {
      await this.#client.delete().key(key);
    };
  }

  async #untilLeft(prefix: string, keys: Set<string>, most: number, revision: number): Promise<void> {
    const next = String(revision + 1);
    const watcher = this.#client.watch().prefix(prefix).only("delete").startRevision(next).watcher();
    try {
      await new Promise<void>((resolve, reject) => {
        watcher.on("delete", ({ key }: IKeyValue) => {
          if (keys.delete(key.toString()) && keys.size <= most) {
            resolve();
          }
        });
        watcher.on("error", reject);
      });
    } finally {
      watcher.cancel().catch(() => undefined);
    }
  }
}

function placeOf(ask: Ask): Place {
  if (ask.kind === "group") {
    throw unknownKind(ask);
  }
  const all = `recipe/${ask.name}/`;
  switch (ask.kind) {
    case "exclusive":
      return { folder: `${all}writers/`, before: all, beside: 0 };
    case "shared":
      return { folder: `${all}readers/`, before: `${all}writers/`, beside: 0 };
    case "permit":
      return { folder: `${all}permits/`, before: `${all}permits/`, beside: ask.limit - 1 };
  }
}

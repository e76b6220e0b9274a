import { MetaClient } from "@metasrv/meta-client";
import { untilQueued } from "./until-queued.js";

const ttlMs = 3_600_000;

/** Many clients who ask for one lock at once. */
export class Rush {
  readonly #clients: MetaClient[] = [];
  #lock = "";
  #cancel = new AbortController();
  #waits: readonly Promise<unknown>[] = [];

  async open(url: string, lock: string, clients: number): Promise<void> {
    for (let n = 0; n < clients; n++) {
      const client = new MetaClient({ endpoints: [url], discover: false });
      this.#clients.push(client);
      // Connects the client.
      await (await client.lock(`rush/${process.pid}/${n}`)).release();
    }
    this.#lock = lock;
    await this.#client(0).lock(lock, { ttlMs });
  }

  /** Resolves when all requests wait. */
  async start(requests: number): Promise<void> {
    this.#cancel = new AbortController();
    const { signal } = this.#cancel;
    this.#waits = Array.from({ length: requests }, (_, n) =>
      this.#client(n)
        .lock(this.#lock, { ttlMs, signal })
        .catch((error: unknown) => {
          if (!signal.aborted) {
            throw error;
          }
        }),
    );
    await Promise.race([untilQueued(this.#client(0), this.#lock, requests), Promise.all(this.#waits)]);
  }

  async end(): Promise<void> {
    this.#cancel.abort(new Error("the rush is over"));
    await Promise.all(this.#waits);
  }

  #client(n: number): MetaClient {
    const client = this.#clients[n % this.#clients.length];
    if (client === undefined) {
      throw new Error("no client is open");
    }
    return client;
  }
}

import { MetaClient, UnavailableError } from "@metasrv/meta-client";
import { until } from "@metasrv/testing";
import { FencedRegister } from "./fenced-register.js";

/** How large the load is. */
export interface LockLoadOptions {
  /** One client for each list; the workers are spread over them. */
  readonly endpoints: readonly (readonly string[])[];
  readonly workers: number;
  readonly locks: readonly string[];
}

/**
 * Workers that take locks, write to what the locks guard, and give the locks back, over and over, whatever fails
 * meanwhile.
 */
export class LockLoad implements AsyncDisposable {
  readonly #registers: ReadonlyMap<string, FencedRegister>;
  readonly #clients: readonly MetaClient[];
  readonly #workers: Promise<void>[];
  readonly #unexpected: unknown[] = [];
  #unavailable = 0;
  #stopping = false;

  constructor({ endpoints, workers, locks }: LockLoadOptions) {
    this.#registers = new Map(locks.map((name) => [name, new FencedRegister()]));
    this.#clients = endpoints.map((urls) => new MetaClient({ endpoints: urls, firstEndpoint: "listed" }));
    const places = [...this.#registers];
    this.#workers = Array.from({ length: workers }, (_, worker) => {
      const place = places[worker % places.length];
      const client = this.#clients[Math.floor(worker / places.length) % this.#clients.length];
      if (place === undefined || client === undefined) {
        throw new Error("load needs a lock and an endpoint");
      }
      return this.#work(client, ...place);
    });
  }

  /** Writes done under a lock so far. */
  get writes(): number {
    return [...this.#registers.values()].reduce((sum, { writes }) => sum + writes, 0);
  }

  /** How often a client ran out of patience with all servers so far. */
  get unavailable(): number {
    return this.#unavailable;
  }

  /** Resolves once so many more writes were done. */
  async proceeds(writes: number, timeoutMs = 20_000): Promise<void> {
    const goal = this.writes + writes;
    await until(() => this.writes >= goal, { what: `${writes} more writes under locks`, timeoutMs });
  }

  /** Ends the load. Resolves with everything that must not have happened. */
  async stop(): Promise<unknown[]> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    await Promise.all(this.#clients.map((client) => client.close()));
    return [...this.#unexpected, ...[...this.#registers.values()].flatMap(({ violations }) => violations)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    // A worker that still waits ends with an error of its client, which nobody looks at any more.
    await Promise.all(this.#clients.map((client) => client.close()));
    await Promise.all(this.#workers);
  }

  async #work(client: MetaClient, name: string, register: FencedRegister): Promise<void> {
    while (!this.#stopping) {
      try {
        await client.withLock(name, { ttlMs: 10_000 }, (lock) => register.write(lock.token));
      } catch (error) {
        // The store was away for longer than the client's patience, so the worker tries again.
        if (!(error instanceof UnavailableError)) {
          this.#unexpected.push(error);
          return;
        }
        this.#unavailable++;
      }
    }
  }
}

import type { Etcd, Metasrv } from "@metasrv/testing";
import { startBenchEtcd } from "./etcd.js";
import { type FloorServer, startFloorServer } from "./floor-server.js";
import { startBenchMetasrv } from "./metasrv.js";
import { type BenchRedis, type Durability, startRedis } from "./redis.js";
import { startTlsMetasrv, type TlsMetasrv } from "./tls-metasrv.js";

/** The servers of one workload. Each is started when it is first asked for. All end together, with their data. */
export class Arena implements AsyncDisposable {
  readonly #servers = new Map<string, Promise<AsyncDisposable>>();

  /** The etcd that everything in this workload shares. */
  etcd(): Promise<Etcd> {
    return this.#once("etcd", () => startBenchEtcd());
  }

  redis(durability: Durability): Promise<BenchRedis> {
    return this.#once(`redis ${durability}`, () => startRedis(durability));
  }

  /** The nodes of a metasrv cluster of its own over the shared etcd. */
  async metasrv(nodes: number): Promise<readonly [Metasrv, ...Metasrv[]]> {
    const { endpoint } = await this.etcd();
    const prefix = `cluster-of-${nodes}`;
    const start = (node: number) =>
      this.#once(`${prefix} ${node}`, () => startBenchMetasrv({ store: endpoint, prefix }));
    const cluster: [Metasrv, ...Metasrv[]] = [await start(0)];
    for (let node = 1; node < nodes; node++) {
      cluster.push(await start(node));
    }
    return cluster;
  }

  /** A metasrv that keeps its locks in memory. */
  memoryMetasrv(): Promise<Metasrv> {
    return this.#once("metasrv memory", () => startBenchMetasrv({}));
  }

  /** A metasrv that counts nothing and has no page of metrics, over the shared etcd. */
  async uncountedMetasrv(): Promise<Metasrv> {
    const { endpoint } = await this.etcd();
    return this.#once("metasrv without metrics", () =>
      startBenchMetasrv({ store: endpoint, prefix: "uncounted", args: ["--metrics=off"] }),
    );
  }

  /** A metasrv that speaks TLS, over the shared etcd or in memory. */
  async tlsMetasrv(backend: "etcd" | "memory"): Promise<TlsMetasrv> {
    const store = backend === "etcd" ? { store: (await this.etcd()).endpoint, prefix: "tls" } : {};
    return this.#once(`metasrv tls ${backend}`, () => startTlsMetasrv(store));
  }

  floor(program: Parameters<typeof startFloorServer>[0]): Promise<FloorServer> {
    return this.#once(program, () => startFloorServer(program));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = [...this.#servers.values()].reverse();
    this.#servers.clear();
    for (const result of await Promise.allSettled(servers)) {
      if (result.status === "fulfilled") {
        await result.value[Symbol.asyncDispose]();
      }
    }
  }

  #once<T extends AsyncDisposable>(name: string, start: () => Promise<T>): Promise<T> {
    const started = this.#servers.get(name) as Promise<T> | undefined;
    if (started !== undefined) {
      return started;
    }
    const starting = start();
    this.#servers.set(name, starting);
    return starting;
  }
}

import { startTcpProxy, type TcpProxy } from "@metasrv/testing";
import type { NodeEnds, NodeLinks, Side, Way } from "./network.js";

/** A node whose connections all pass proxies of this process. The proxies can hold back and delay what they pass on. */
export class ProxyLinks implements NodeLinks {
  readonly canSlow = true;
  readonly #proxies: Readonly<Record<Side, readonly TcpProxy[]>>;

  private constructor(clients: TcpProxy, store: readonly TcpProxy[]) {
    this.#proxies = { clients: [clients], store };
  }

  /** @param listenAt - the address at which the proxies listen */
  static async create({ address, storeEndpoints }: NodeEnds, listenAt: string): Promise<ProxyLinks> {
    const clients = await startTcpProxy({ target: address, listenAt });
    const store = await Promise.all(storeEndpoints.map((target) => startTcpProxy({ target, listenAt })));
    return new ProxyLinks(clients, store);
  }

  get clientAddress(): string {
    return this.#proxies.clients[0]?.address ?? "";
  }

  get storeAddresses(): readonly string[] {
    return this.#proxies.store.map(({ address }) => address);
  }

  cut(side: Side, way: Way): Promise<void> {
    // For its clients, the node is the target. For etcd, it is a client.
    const inward = side === "clients" ? "toTarget" : "toClient";
    const outward = side === "clients" ? "toClient" : "toTarget";
    for (const proxy of this.#proxies[side]) {
      if (way !== "out") {
        proxy.pause(inward);
      }
      if (way !== "in") {
        proxy.pause(outward);
      }
    }
    return Promise.resolve();
  }

  slow(side: Side, latencyMs: number): void {
    for (const proxy of this.#proxies[side]) {
      proxy.setLatency("toTarget", latencyMs);
      proxy.setLatency("toClient", latencyMs);
    }
  }

  heal(): Promise<void> {
    this.slow("clients", 0);
    this.slow("store", 0);
    for (const proxy of [...this.#proxies.clients, ...this.#proxies.store]) {
      proxy.resume("toTarget");
      proxy.resume("toClient");
    }
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#proxies.clients, ...this.#proxies.store].map((proxy) => proxy[Symbol.asyncDispose]()));
  }
}

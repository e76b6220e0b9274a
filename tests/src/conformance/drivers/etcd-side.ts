import { Etcd3 } from "etcd3";
import { ticketTextsIn } from "../../in-store.js";
import type { EtcdSide, LockDriver } from "../lock-driver.js";

/** Looks into the etcd below a driver. */
export class EtcdView implements EtcdSide {
  readonly client: Etcd3;
  readonly prefix: string;
  readonly #endpoint: string;
  readonly #open: (prefix: string) => Promise<LockDriver>;

  constructor(endpoint: string, prefix: string, open: (prefix: string) => Promise<LockDriver>) {
    this.client = new Etcd3({ hosts: endpoint });
    this.prefix = prefix;
    this.#endpoint = endpoint;
    this.#open = open;
  }

  neighbour(prefix: string): Promise<LockDriver> {
    return this.#open(prefix);
  }

  tickets(name?: Uint8Array): Promise<string[]> {
    return ticketTextsIn(this.#endpoint, this.prefix, name && Buffer.from(name).toString());
  }

  close(): void {
    this.client.close();
  }
}

import { createClient } from "@connectrpc/connect";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { type Metasrv, startMetasrv } from "@metasrv/testing";
import { openRpcClient, type RpcClient } from "../../rpc-client.js";
import { type LockDriver, type LockState, noState, stateOf } from "../lock-driver.js";
import { EtcdView } from "./etcd-side.js";

/** Where a node that is reached over the wire keeps its locks: in its memory, or in an etcd under a prefix. */
export type WireStore = "memory" | { readonly endpoint: string; readonly prefix?: string };

/** Makes a driver that uses a node. */
export type OpenDriver = (node: WireNode) => LockDriver | Promise<LockDriver>;

/** A server process, looked at by a client of its own. */
export class WireNode implements AsyncDisposable {
  readonly etcd: EtcdView | undefined;
  readonly url: string;
  readonly #args: readonly string[];
  readonly #store: WireStore;
  readonly #observer: RpcClient;
  #server: Metasrv;

  private constructor(server: Metasrv, store: WireStore, args: readonly string[], open: OpenDriver) {
    this.#server = server;
    this.#store = store;
    this.#args = args;
    this.url = server.url;
    this.#observer = openRpcClient("connect", server.url);
    if (store !== "memory") {
      const { endpoint, prefix = "metasrv" } = store;
      const openOther = (other: string) => WireNode.open({ endpoint, prefix: other }, open, args);
      this.etcd = new EtcdView(endpoint, prefix, openOther);
    }
  }

  /**
   * Starts a node and makes the driver that uses it. Disposing of the driver must dispose of the node.
   *
   * @param args - more of its command line
   */
  static async open(store: WireStore, open: OpenDriver, args: readonly string[] = []): Promise<LockDriver> {
    return open(new WireNode(await start(store, args), store, args, open));
  }

  /** A try-lock tells the state of a lock. If it is granted, it is given back. */
  async observe(name: Uint8Array): Promise<LockState> {
    const client = createClient(LockService, this.#observer.transport);
    const { outcome } = await client.lock({ lock: { case: "nameBytes", value: name }, waitMs: 0n });
    if (outcome.case === "refused" && outcome.value.state !== undefined) {
      return stateOf(outcome.value.state);
    }
    if (outcome.case === "granted") {
      await client.unlock({ key: outcome.value.key });
    }
    return noState;
  }

  /** Stops the node in order, and starts another at the same address. */
  async restart(): Promise<void> {
    await this.#server.stop();
    this.#server = await start(this.#store, [...this.#args, "--bind-addr", new URL(this.url).host]);
  }

  async tickets(name?: Uint8Array): Promise<string[]> {
    return (await this.etcd?.tickets(name)) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#observer[Symbol.dispose]();
    this.etcd?.close();
    await this.#server[Symbol.asyncDispose]();
  }
}

function start(store: WireStore, args: readonly string[]): Promise<Metasrv> {
  if (store === "memory") {
    return startMetasrv({ args });
  }
  const { endpoint, prefix } = store;
  return startMetasrv({ store: endpoint, args: prefix === undefined ? args : ["--store-key-prefix", prefix, ...args] });
}

import { type Client, createClient } from "@connectrpc/connect";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { openRpcClient, type RpcClient, type Wire } from "../../rpc-client.js";
import { DriverError, type DriverGrant, type LockAsk, type LockDriver } from "../lock-driver.js";
import type { EtcdView } from "./etcd-side.js";
import { wireError } from "./wire-error.js";
import { WireNode, type WireStore } from "./wire-node.js";

/** The original contract, `greptime.v1.meta.Lock`, by a plain client. */
export function openGreptimeLock(wire: Wire, store: WireStore): Promise<LockDriver> {
  return WireNode.open(store, (node) => new GreptimeDriver(node, openRpcClient(wire, node.url)));
}

class GreptimeDriver implements LockDriver {
  readonly etcd?: EtcdView;
  readonly #node: WireNode;
  readonly #rpc: RpcClient;
  readonly #client: Client<typeof Lock>;

  constructor(node: WireNode, rpc: RpcClient) {
    this.#node = node;
    this.#rpc = rpc;
    this.#client = createClient(Lock, rpc.transport);
    if (node.etcd !== undefined) {
      this.etcd = node.etcd;
    }
  }

  async lock(name: Uint8Array, { ttlMs = 0, signal }: LockAsk = {}): Promise<DriverGrant> {
    try {
      const request = { name, expireSecs: BigInt(ttlMs / 1000) };
      const { key } = await this.#client.lock(request, signal === undefined ? {} : { signal });
      return { key, token: 0n };
    } catch (error) {
      throw wireError(error, signal);
    }
  }

  tryLock(): Promise<never> {
    return Promise.reject(new DriverError("other", "the original contract has no try-lock"));
  }

  async unlock(key: Uint8Array): Promise<"released"> {
    try {
      await this.#client.unlock({ key });
      return "released";
    } catch (error) {
      throw wireError(error);
    }
  }

  renew(): Promise<never> {
    return Promise.reject(new DriverError("other", "the original contract has no renewal"));
  }

  downgrade(): Promise<never> {
    return Promise.reject(new DriverError("other", "the original contract has no shared locks"));
  }

  force(): Promise<never> {
    return Promise.reject(new DriverError("other", "the original contract has no operators"));
  }

  observe(name: Uint8Array) {
    return this.#node.observe(name);
  }

  restart(): Promise<void> {
    return this.#node.restart();
  }

  tickets(name?: Uint8Array): Promise<string[]> {
    return this.#node.tickets(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rpc[Symbol.dispose]();
    await this.#node[Symbol.asyncDispose]();
  }
}

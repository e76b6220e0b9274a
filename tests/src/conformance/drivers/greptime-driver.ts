import { type Client, createClient } from "@connectrpc/connect";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { openRpcClient, type Wire } from "../../rpc-client.js";
import { DriverError, type DriverGrant, type LockAsk, type LockCalls, type LockDriver } from "../lock-driver.js";
import { WireDriver } from "./wire-driver.js";
import { wireError } from "./wire-error.js";
import { WireNode, type WireStore } from "./wire-node.js";

/** The original contract, `greptime.v1.meta.Lock`, by a plain client. */
export function openGreptimeLock(wire: Wire, store: WireStore): Promise<LockDriver> {
  return WireNode.open(store, (node) => {
    const rpc = openRpcClient(wire, node.url);
    return new WireDriver(node, new GreptimeCalls(createClient(Lock, rpc.transport)), rpc);
  });
}

class GreptimeCalls implements LockCalls {
  readonly #client: Client<typeof Lock>;

  constructor(client: Client<typeof Lock>) {
    this.#client = client;
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
}

import type { DriverGrant, LockAsk, LockCalls, LockDriver, LockState, TryLockAnswer } from "../lock-driver.js";
import type { EtcdView } from "./etcd-side.js";
import type { WireNode } from "./wire-node.js";

/** Calls of a client, and the node that they go to. */
export class WireDriver implements LockDriver {
  readonly etcd?: EtcdView;
  readonly #node: WireNode;
  readonly #calls: LockCalls;
  readonly #client: Disposable | AsyncDisposable;

  /** @param client - is disposed of before the node */
  constructor(node: WireNode, calls: LockCalls, client: Disposable | AsyncDisposable) {
    this.#node = node;
    this.#calls = calls;
    this.#client = client;
    if (node.etcd !== undefined) {
      this.etcd = node.etcd;
    }
  }

  lock(name: Uint8Array, ask?: LockAsk): Promise<DriverGrant> {
    return this.#calls.lock(name, ask);
  }

  tryLock(name: Uint8Array, ask?: LockAsk): Promise<TryLockAnswer> {
    return this.#calls.tryLock(name, ask);
  }

  unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    return this.#calls.unlock(key);
  }

  renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held"> {
    return this.#calls.renew(key, ttlMs);
  }

  downgrade(key: Uint8Array): Promise<"renewed" | "not-held"> {
    return this.#calls.downgrade(key);
  }

  force(name: Uint8Array, token: bigint): Promise<"released" | "not-held"> {
    return this.#calls.force(name, token);
  }

  observe(name: Uint8Array): Promise<LockState> {
    return this.#node.observe(name);
  }

  restart(): Promise<void> {
    return this.#node.restart();
  }

  tickets(name?: Uint8Array): Promise<string[]> {
    return this.#node.tickets(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = this.#client;
    if (Symbol.asyncDispose in client) {
      await client[Symbol.asyncDispose]();
    } else {
      client[Symbol.dispose]();
    }
    await this.#node[Symbol.asyncDispose]();
  }
}

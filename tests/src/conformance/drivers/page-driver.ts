import type { Page } from "playwright-core";
import { PageTasks } from "../../page-tasks.js";
import {
  DriverError,
  type DriverGrant,
  type LockAsk,
  type LockCalls,
  type LockDriver,
  type TryLockAnswer,
} from "../lock-driver.js";
import type * as PageLocks from "./page-locks.js";
import { WireDriver } from "./wire-driver.js";
import { WireNode, type WireStore } from "./wire-node.js";

/** The module {@link PageLocks}, in the page. */
declare const pageLocks: typeof PageLocks;

/** The TypeScript client in a page, which has the exports of page-locks.ts as its global variable `pageLocks`. */
export async function openPageLocks(page: Page, store: WireStore): Promise<LockDriver> {
  const tasks = await PageTasks.of(page);
  const open = (node: WireNode) => {
    const calls = new PageCalls(tasks, node.url);
    return new WireDriver(node, calls, calls);
  };
  return await WireNode.open(store, open, ["--cors-origins", new URL(page.url()).origin]);
}

let calls = 0;

class PageCalls implements LockCalls, AsyncDisposable {
  readonly #tasks: PageTasks;
  readonly #url: string;

  constructor(tasks: PageTasks, url: string) {
    this.#tasks = tasks;
    this.#url = url;
  }

  lock(name: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant> {
    const { signal, ...asked } = ask;
    return this.#call("lock", [name, asked], signal);
  }

  tryLock(name: Uint8Array, ask: LockAsk = {}): Promise<TryLockAnswer> {
    const { signal, ...asked } = ask;
    return this.#call("tryLock", [name, asked], signal);
  }

  unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    return this.#call("unlock", [key]);
  }

  renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held"> {
    return this.#call("renew", [key, ttlMs]);
  }

  downgrade(key: Uint8Array): Promise<"renewed" | "not-held"> {
    return this.#call("downgrade", [key]);
  }

  force(name: Uint8Array, token: bigint): Promise<"released" | "not-held"> {
    return this.#call("force", [name, token]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tasks.run((url) => pageLocks.close(url), this.#url);
  }

  async #call<T>(method: keyof LockCalls, args: readonly unknown[], signal?: AbortSignal): Promise<T> {
    const id = ++calls;
    const call = { url: this.#url, method, args: carried(args) as unknown[], id };
    const called = this.#tasks.run((call) => pageLocks.call(call), call);
    // The page gets this after the call, for it is told in order.
    const abort = (): void =>
      void this.#tasks.run((id) => {
        pageLocks.abort(id);
      }, id);
    if (signal?.aborted === true) {
      abort();
    }
    signal?.addEventListener("abort", abort);
    const outcome = await called.finally(() => signal?.removeEventListener("abort", abort));
    if ("failure" in outcome) {
      const { reason, cause, state } = outcome.failure;
      throw new DriverError(reason, cause, state);
    }
    return outcome.value as T;
  }
}

/** Values as they can be carried into the page, which takes no subclass such as Buffer. */
function carried(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return new Uint8Array(value);
  }
  if (Array.isArray(value)) {
    return value.map(carried);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, carried(part)]));
  }
  return value;
}

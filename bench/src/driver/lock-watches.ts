import { setTimeout as sleep } from "node:timers/promises";
import { type HeldLock, type LockName, MetaClient } from "@metasrv/meta-client";
import { concurrently } from "./concurrently.js";
import type { Watched } from "./jobs.js";

const ttlMs = 3_600_000;
const lookEveryMs = 2;
const withinMs = 60_000;

/** Watches of all locks under a prefix: one that is read, and some of which nothing is read but the first message. */
export class LockWatches {
  readonly #kept: HeldLock[] = [];
  readonly #clients: MetaClient[] = [];
  #url = "";
  #prefix = "";
  #end = new AbortController();
  #known = new Set<LockName>();
  #complete = false;
  #messages = 0;
  #changes = 0;
  #failure: unknown;

  /** Takes locks under the prefix, which stay held. */
  async open(url: string, prefix: string, kept: number): Promise<void> {
    this.#url = url;
    this.#prefix = prefix;
    const client = this.#connect();
    await concurrently(kept, 64, async (index) => {
      this.#kept.push(await client.lock(`${prefix}kept/${index}`, { ttlMs }));
    });
  }

  /** Resolves when all locks that were there are told. */
  async begin(unread: number): Promise<void> {
    this.#end = new AbortController();
    this.#known = new Set();
    this.#complete = false;
    this.#messages = 0;
    this.#changes = 0;
    const { signal } = this.#end;
    this.#follow(signal).catch((error: unknown) => {
      if (!signal.aborted) {
        this.#failure = error;
      }
    });
    for (let n = 0; n < unread; n++) {
      // Of a client of its own, so that it holds up nobody else on its connection.
      const first = await this.#connect().locks.watchAll({ prefix: this.#prefix, signal }).next();
      if (first.done === true) {
        throw new Error("a watch has ended by itself");
      }
    }
    await this.#until(() => this.#complete, "the watch has not told all locks");
  }

  /** Takes and releases a lock, so many times, and measures how long it takes until the watch tells that it is held. */
  async lags(samples: number): Promise<readonly number[]> {
    const client = this.#connect();
    const lagsMs: number[] = [];
    for (let n = 0; n < samples; n++) {
      const name = `${this.#prefix}marker/${n}`;
      const lock = await client.lock(name, { ttlMs });
      const sinceMs = performance.now();
      await this.#until(() => this.#known.has(name), "the watch has not told of a lock that is held");
      lagsMs.push(performance.now() - sinceMs);
      await lock.release();
      await this.#until(() => !this.#known.has(name), "the watch has not told that a lock is free");
    }
    return lagsMs;
  }

  told(): Watched {
    return { messages: this.#messages, changes: this.#changes };
  }

  /** When nobody takes locks any more: resolves when the watch has told that only those that are kept are held. */
  async untilKeptOnly(): Promise<void> {
    const isKept = () =>
      this.#known.size === this.#kept.length && this.#kept.every(({ name }) => this.#known.has(name));
    await this.#until(isKept, "the watch tells other locks than are held");
  }

  async end(): Promise<void> {
    this.#end.abort(new Error("the watches are over"));
    const [first, ...others] = this.#clients.splice(0);
    this.#clients.push(...(first === undefined ? [] : [first]));
    await Promise.all(others.map((client) => client.close()));
  }

  #connect(): MetaClient {
    const client = new MetaClient({ endpoints: [this.#url], discover: false });
    this.#clients.push(client);
    return client;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const told of this.#connect().locks.watchAll({ prefix: this.#prefix, signal })) {
      for (const { name } of told.locks) {
        this.#known.add(name);
      }
      for (const name of told.removed) {
        this.#known.delete(name);
      }
      this.#complete = told.complete;
      this.#messages++;
      this.#changes += told.locks.length + told.removed.length;
    }
  }

  async #until(isSo: () => boolean, otherwise: string): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!isSo()) {
      if (this.#failure !== undefined) {
        throw new Error("the watch has failed", { cause: this.#failure });
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`${otherwise} within ${withinMs / 1000} s; it knows ${this.#known.size}`);
      }
      await sleep(lookEveryMs);
    }
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { MetaClient } from "@metasrv/meta-client";
import { until } from "@metasrv/testing";

/** A client that uses locks all the while, and must not notice anything. */
export class Bystander {
  readonly #meta: MetaClient;
  readonly #paceMs: number;
  readonly #running: Promise<void>;
  #uses = 0;
  #longestMs = 0;
  #stopped = false;

  /** @param paceMs - how long it pauses between two uses */
  constructor(url: string, paceMs = 0) {
    this.#meta = new MetaClient({ endpoints: [url] });
    this.#paceMs = paceMs;
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  /** Resolves once locks were used this many times more; rejects when a lock could not be used. */
  async use(times: number): Promise<void> {
    const enough = this.#uses + times;
    await Promise.race([
      until(() => Promise.resolve(this.#uses >= enough), { what: `${times} uses`, timeoutMs: 60_000 }),
      this.#running,
    ]);
  }

  /** The longest time that a use has taken since this was asked last, in milliseconds. */
  takeLongestMs(): number {
    const longestMs = this.#longestMs;
    this.#longestMs = 0;
    return longestMs;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#meta.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedMs = performance.now();
      await this.#meta.withLock("bystander", { waitMs: 60_000 }, () => Promise.resolve());
      this.#longestMs = Math.max(this.#longestMs, performance.now() - startedMs);
      this.#uses++;
      if (this.#paceMs > 0) {
        await sleep(this.#paceMs);
      }
    }
  }
}

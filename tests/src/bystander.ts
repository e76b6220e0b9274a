import { MetaClient } from "@metasrv/meta-client";
import { until } from "@metasrv/testing";

/** A client that uses locks all the while, and must not notice anything. */
export class Bystander {
  readonly #meta: MetaClient;
  readonly #running: Promise<void>;
  #uses = 0;
  #longestMs = 0;
  #stopped = false;

  constructor(url: string) {
    this.#meta = new MetaClient({ endpoints: [url] });
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  /** Resolves once locks were used this many times more; rejects when a lock could not be used. */
  async use(times: number): Promise<void> {
    const enough = this.#uses + times;
    await Promise.race([
      until(() => Promise.resolve(this.#uses >= enough), { what: `${times} uses`, timeoutMs: 20_000 }),
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
      await this.#meta.withLock("bystander", { waitMs: 5_000 }, () => Promise.resolve());
      this.#longestMs = Math.max(this.#longestMs, performance.now() - startedMs);
      this.#uses++;
    }
  }
}

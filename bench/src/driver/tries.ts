import { MetaClient } from "@metasrv/meta-client";
import type { TriesDone } from "./jobs.js";

/**
 * Tries for a lock at equal intervals, even if earlier tries were not answered yet. So a slow answer does not hide
 * others.
 */
export class Tries {
  #client: MetaClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #underWay: Promise<void>[] = [];
  #latenciesMs: number[] = [];
  #granted = 0;
  #failure: string | undefined;

  start(url: string, lock: string, everyMs: number): void {
    const client = (this.#client ??= new MetaClient({ endpoints: [url], discover: false }));
    this.#underWay = [];
    this.#latenciesMs = [];
    this.#granted = 0;
    this.#failure = undefined;
    this.#timer = setInterval(() => {
      this.#underWay.push(this.#try(client, lock));
    }, everyMs);
  }

  async end(): Promise<TriesDone> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return { latenciesMs: this.#latenciesMs, granted: this.#granted, failure: this.#failure };
  }

  async #try(client: MetaClient, lock: string): Promise<void> {
    const sinceMs = performance.now();
    try {
      const held = await client.tryLock(lock);
      this.#latenciesMs.push(performance.now() - sinceMs);
      if (held !== null) {
        this.#granted++;
        await held.release();
      }
    } catch (error) {
      this.#failure ??= String(error);
    }
  }
}

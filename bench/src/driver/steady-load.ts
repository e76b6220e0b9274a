import { MetaClient } from "@metasrv/meta-client";
import type { Mark } from "../measure/rate.js";
import { cycleTtlMs } from "../peers/lock-client.js";

const markEveryMs = 50;

/** Cycles of lock and unlock on free locks without an end, counted as time goes by. */
export class SteadyLoad {
  readonly #marks: Mark[] = [];
  #done = 0;

  start(url: string, inFlight: number): void {
    const client = new MetaClient({ endpoints: [url], discover: false });
    for (let caller = 0; caller < inFlight; caller++) {
      void this.#repeat(client, caller);
    }
    this.#mark();
    setInterval(() => {
      this.#mark();
    }, markEveryMs);
  }

  get marks(): readonly Mark[] {
    return this.#marks;
  }

  #mark(): void {
    this.#marks.push({ unixMs: Date.now(), done: this.#done });
  }

  async #repeat(client: MetaClient, caller: number): Promise<never> {
    for (let n = 0; ; n++) {
      const lock = await client.lock(`steady/${process.pid}/${caller}/${n}`, { ttlMs: cycleTtlMs });
      await lock.release();
      this.#done++;
    }
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { MetaClient, WaitTimeoutError } from "@metasrv/meta-client";
import type { MixedState } from "./jobs.js";

/** How many callers do each thing at a time. */
const callers = { free: 24, hot: 8, try: 8, kept: 8, timedOut: 4, cancelled: 4, reconnect: 1 } as const;

type Deed = keyof typeof callers;

const pauseMs = 5;
const failuresKept = 20;

/** Every kind of use at once, at a moderate rate, as long as the process lives. It must not let memory grow. */
export class MixedLoad {
  readonly #done: Record<Deed, number> = { free: 0, hot: 0, try: 0, kept: 0, timedOut: 0, cancelled: 0, reconnect: 0 };
  readonly #failures: string[] = [];
  #names = 0;

  async start(url: string): Promise<void> {
    const client = new MetaClient({ endpoints: [url], discover: false });
    const blocked = await client.lock("soak/blocked", { keepAlive: true });
    const deeds: Readonly<Record<Deed, () => Promise<void>>> = {
      free: async () => {
        await (await client.lock(this.#name())).release();
      },
      hot: async () => {
        await (await client.lock("soak/hot")).release();
      },
      try: async () => {
        await (await client.tryLock("soak/try"))?.release();
      },
      kept: async () => {
        await client.withLock(this.#name(), { ttlMs: 2_000 }, () => sleep(3_000));
      },
      timedOut: async () => {
        await client.lock(blocked.name, { waitMs: 20 }).catch((error: unknown) => {
          if (!(error instanceof WaitTimeoutError)) {
            throw error;
          }
        });
      },
      cancelled: async () => {
        const reason = new Error("changed its mind");
        const controller = new AbortController();
        setTimeout(() => {
          controller.abort(reason);
        }, 20);
        await client.lock(blocked.name, { signal: controller.signal }).catch((error: unknown) => {
          if (error !== reason) {
            throw error;
          }
        });
      },
      reconnect: async () => {
        await using other = new MetaClient({ endpoints: [url], discover: false });
        await other.lock(this.#name());
        await sleep(200);
      },
    };
    for (const [deed, count] of Object.entries(callers) as [Deed, number][]) {
      for (let n = 0; n < count; n++) {
        void this.#repeat(deed, deeds[deed]);
      }
    }
  }

  state(): MixedState {
    globalThis.gc?.();
    return { done: { ...this.#done }, failures: [...this.#failures], heapBytes: process.memoryUsage().heapUsed };
  }

  async #repeat(deed: Deed, perform: () => Promise<void>): Promise<never> {
    for (;;) {
      try {
        await perform();
        this.#done[deed]++;
      } catch (error) {
        if (this.#failures.length < failuresKept) {
          this.#failures.push(`${deed}: ${String(error)}`);
        }
      }
      await sleep(pauseMs);
    }
  }

  #name(): string {
    return `soak/${process.pid}/${++this.#names}`;
  }
}

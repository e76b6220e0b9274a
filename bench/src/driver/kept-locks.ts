import { setTimeout as sleep } from "node:timers/promises";
import { type HeldLock, MetaClient } from "@metasrv/meta-client";
import { concurrently } from "./concurrently.js";

// Shorter than the time between two renewals of one of the locks.
const lookEveryMs = 500;

/** Locks that the client keeps alive. */
export class KeptLocks {
  readonly #locks: HeldLock[] = [];

  async take(url: string, count: number, ttlMs: number): Promise<void> {
    const client = new MetaClient({ endpoints: [url], discover: false });
    await concurrently(count, 256, async (index) => {
      this.#locks.push(await client.lock(`kept/${process.pid}/${index}`, { ttlMs, keepAlive: true }));
    });
  }

  async countRenewals(durationMs: number): Promise<{ readonly renewals: number; readonly lost: number }> {
    const seen = this.#locks.map((lock) => lock.expiresAtMs);
    const endMs = performance.now() + durationMs;
    let renewals = 0;
    do {
      await sleep(Math.min(lookEveryMs, endMs - performance.now()));
      this.#locks.forEach((lock, index) => {
        const { expiresAtMs } = lock;
        if (expiresAtMs > (seen[index] ?? 0)) {
          renewals++;
        }
        seen[index] = expiresAtMs;
      });
    } while (performance.now() < endMs - 1);
    return { renewals, lost: this.#locks.filter((lock) => lock.signal.aborted).length };
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { type HeldLock, MetaClient } from "@metasrv/meta-client";
import { Latency } from "../measure/latency.js";
import type { GrantsDone } from "./jobs.js";
import { untilQueued } from "./until-queued.js";

const ttlMs = 3_600_000;
// How long the waiter that takes the place of a granted one may take to reach the end of the queue.
const settleMs = 10;

interface Queue {
  readonly client: MetaClient;
  holder: HeldLock;
  readonly waiters: Promise<HeldLock>[];
}

/** Measures how long a grant takes after an unlock, with queues of constant length. */
export class GrantTimer {
  readonly #queues = new Map<string, Queue>();

  async queue(url: string, lock: string, waiters: number): Promise<void> {
    const client = new MetaClient({ endpoints: [url], discover: false });
    const queue: Queue = { client, holder: await client.lock(lock, { ttlMs }), waiters: [] };
    this.#queues.set(lock, queue);
    for (let n = 0; n < waiters; n++) {
      this.#wait(lock, queue);
      if (n % 500 === 499) {
        await sleep(20);
      }
    }
    await untilQueued(client, lock, waiters);
  }

  async measure(lock: string, samples: number): Promise<GrantsDone> {
    const queue = this.#queues.get(lock);
    if (queue === undefined) {
      throw new Error(`there is no queue for ${lock}`);
    }
    const latency = new Latency();
    const samplesMs: number[] = [];
    for (let n = 0; n < samples; n++) {
      await sleep(settleMs);
      const next = queue.waiters.shift();
      if (next === undefined) {
        throw new Error("nobody waits");
      }
      const sinceMs = performance.now();
      const released = queue.holder.release();
      queue.holder = await next;
      latency.recordSince(sinceMs);
      samplesMs.push(performance.now() - sinceMs);
      await released;
      this.#wait(lock, queue);
    }
    return { ...latency.summary(), samplesMs };
  }

  #wait(lock: string, queue: Queue): void {
    const waiter = queue.client.lock(lock, { ttlMs });
    // A failure is noticed where the waiter is awaited. Those that still wait at the end are never awaited.
    waiter.catch(() => undefined);
    queue.waiters.push(waiter);
  }
}

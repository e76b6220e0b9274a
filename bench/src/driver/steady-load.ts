import { setTimeout as sleep } from "node:timers/promises";
import { MetaClient } from "@metasrv/meta-client";
import type { Mark } from "../measure/rate.js";
import { cycleTtlMs } from "../peers/lock-client.js";

/** How fast cycles begin, and how long each holds its lock. */
export interface Pace {
  readonly perSecond: number;
  readonly holdMs: number;
}

const markEveryMs = 50;
// Timers are no more exact. Who is later than this does not catch up.
const slackMs = 20;

/** Cycles of lock and unlock on free locks until it is ended, counted as time goes by. */
export class SteadyLoad {
  readonly #marks: Mark[] = [];
  readonly #callers: Promise<void>[] = [];
  #client: MetaClient | undefined;
  #ended = false;
  #pace: Pace | undefined;
  #nextMs = 0;
  #done = 0;

  start(url: string, inFlight: number): void {
    this.#client = new MetaClient({ endpoints: [url], discover: false });
    this.#begin(this.#client, inFlight);
    this.#mark();
    setInterval(() => {
      this.#mark();
    }, markEveryMs);
  }

  /** Goes on at a pace, with at least so many in flight. */
  pace(pace: Pace, inFlight: number): void {
    if (this.#client === undefined) {
      throw new Error("there is no load");
    }
    this.#pace = pace;
    this.#nextMs = performance.now();
    this.#begin(this.#client, inFlight - this.#callers.length);
  }

  /** Resolves when the last lock is released. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#callers);
  }

  get marks(): readonly Mark[] {
    return this.#marks;
  }

  #begin(client: MetaClient, count: number): void {
    for (let n = 0; n < count; n++) {
      this.#callers.push(this.#repeat(client, this.#callers.length));
    }
  }

  #mark(): void {
    this.#marks.push({ unixMs: Date.now(), done: this.#done });
  }

  async #repeat(client: MetaClient, caller: number): Promise<void> {
    for (let n = 0; !this.#ended; n++) {
      const pace = this.#pace;
      if (pace !== undefined) {
        await this.#turn(pace);
      }
      const lock = await client.lock(`steady/${process.pid}/${caller}/${n}`, { ttlMs: cycleTtlMs });
      if (pace !== undefined) {
        await sleep(pace.holdMs);
      }
      await lock.release();
      this.#done++;
    }
  }

  async #turn({ perSecond }: Pace): Promise<void> {
    const nowMs = performance.now();
    this.#nextMs = Math.max(this.#nextMs + 1000 / perSecond, nowMs - slackMs);
    if (this.#nextMs > nowMs + 1) {
      await sleep(this.#nextMs - nowMs);
    }
  }
}

import { Latency } from "../measure/latency.js";
import type { Caller, ClientSpec, LockClient } from "../peers/lock-client.js";
import { openClient } from "../peers/open-client.js";
import type { CyclesDone, CyclesJob } from "./jobs.js";

/** Runs cycles of lock and unlock with the clients that are open. */
export class CycleRunner {
  readonly #clients: LockClient[] = [];
  readonly #callers: Caller[] = [];
  #names = 0;

  async open(spec: ClientSpec, clients: number): Promise<void> {
    for (let n = 0; n < clients; n++) {
      this.#clients.push(await openClient(spec));
    }
  }

  async run({ inFlight, durationMs, names }: CyclesJob): Promise<CyclesDone> {
    const callers = await this.#prepare(inFlight);
    const latency = new Latency();
    let handovers = 0;
    let last: Caller | undefined;
    let failed = 0;
    let failure: string | undefined;
    const startedMs = performance.now();
    const endMs = startedMs + durationMs;
    const work = async (caller: Caller): Promise<void> => {
      for (let sinceMs = startedMs; sinceMs < endMs; sinceMs = performance.now()) {
        try {
          await caller.cycle(names === "hot" ? "hot" : `free/${process.pid}/${++this.#names}`);
          latency.recordSince(sinceMs);
          if (caller !== last) {
            handovers++;
          }
          last = caller;
        } catch (error) {
          failed++;
          failure ??= String(error);
        }
      }
    };
    await Promise.all(callers.map(work));
    const seconds = (performance.now() - startedMs) / 1000;
    return { cycles: latency.count, handovers, failed, failure, seconds, ...latency.summary() };
  }

  async #prepare(inFlight: number): Promise<readonly Caller[]> {
    while (this.#callers.length < inFlight) {
      const index = this.#callers.length;
      const client = this.#clients[index % this.#clients.length];
      if (client === undefined) {
        throw new Error("no client is open");
      }
      this.#callers.push(await client.caller(index));
    }
    return this.#callers.slice(0, inFlight);
  }
}

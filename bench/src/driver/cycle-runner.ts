import { Latency } from "../measure/latency.js";
import { Occupancy } from "../measure/occupancy.js";
import type { Caller, ClientSpec, LockClient } from "../peers/lock-client.js";
import { openClient } from "../peers/open-client.js";
import type { CheckJob, CyclesDone, CyclesJob } from "./jobs.js";

/** Runs cycles of lock and unlock with the clients that are open. */
export class CycleRunner {
  readonly #clients: LockClient[] = [];
  readonly #callers: Caller[] = [];
  readonly #occupancy = new Occupancy();
  #names = 0;

  async open(spec: ClientSpec, clients: number): Promise<void> {
    for (let n = 0; n < clients; n++) {
      this.#clients.push(await openClient(spec, this.#occupancy));
    }
  }

  async run({ inFlight, durationMs, names, holdMs }: CyclesJob): Promise<CyclesDone> {
    const callers = await this.#prepare(inFlight);
    const latency = new Latency();
    const served: number[] = [];
    let handovers = 0;
    let last: Caller | undefined;
    let failed = 0;
    let failure: string | undefined;
    const startedMs = performance.now();
    const endMs = startedMs + durationMs;
    const work = async (caller: Caller, index: number): Promise<void> => {
      served[index] = 0;
      for (let sinceMs = startedMs; sinceMs < endMs; sinceMs = performance.now()) {
        try {
          await caller.cycle(names === "free" ? `free/${process.pid}/${++this.#names}` : names, holdMs);
          latency.recordSince(sinceMs);
          served[index]++;
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
    if (names === "asked" && (failed > 0 || this.#occupancy.count > 0)) {
      throw new Error(`${failed} of the cycles failed: ${failure ?? "somebody holds who should have ended"}`);
    }
    const leastShare = (Math.min(...served) * served.length) / latency.count;
    return { cycles: latency.count, handovers, leastShare, failed, failure, seconds, ...latency.summary() };
  }

  /** Checks that as many hold at a time as may, and that all is given back. Resolves with the most at a time. */
  async check({ inFlight, durationMs, holdMs }: CheckJob): Promise<number> {
    const [client] = this.#clients;
    const { together } = client ?? {};
    if (client?.checkAllFree === undefined || together === undefined) {
      throw new Error("the client that is open cannot be checked");
    }
    this.#occupancy.takePeak();
    await this.run({ inFlight, durationMs, names: "asked", holdMs });
    const peak = this.#occupancy.takePeak();
    if (peak < together) {
      throw new Error(`there were never more than ${peak} holders at a time, instead of ${together}`);
    }
    await client.checkAllFree();
    return peak;
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

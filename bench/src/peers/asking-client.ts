import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import type { Occupancy } from "../measure/occupancy.js";
import type { TakerClient } from "./ask.js";
import { type DemandId, demands } from "./demand.js";
import type { LockClient } from "./lock-client.js";

// Well below the TTL of what was lost, after which it would be there again.
const wholeWithinMs = 5_000;

/** Callers that ask for what a workload demands, and check that nobody holds beside them who must not. */
export function openAsking(client: TakerClient, id: DemandId, occupancy: Occupancy): LockClient {
  const { next, whole, together } = demands[id];
  return {
    caller: async (index) => {
      const taker = await client.taker();
      const random = seeded(index + 1);
      return {
        cycle: async (_, holdMs) => {
          const ask = next(random);
          const release = await taker.take(ask);
          occupancy.enter(ask);
          // Without a pause between the two, no two would ever be seen to hold at the same time.
          await (holdMs === undefined ? turn() : sleep(holdMs));
          occupancy.leave(ask);
          await release();
        },
      };
    },
    together,
    checkAllFree: async () => {
      const taker = await client.taker();
      const taken = Promise.all(whole.map((ask) => taker.take(ask)));
      const late = AbortSignal.timeout(wholeWithinMs);
      const releases = await Promise.race([
        taken,
        new Promise<never>((_, reject) => {
          late.addEventListener("abort", () => {
            reject(new Error("not everything that was taken was given back"));
          });
        }),
      ]);
      await Promise.all(releases.map((release) => release()));
    },
  };
}

/** The same numbers from 0 up to 1 for the same seed, so that all contenders are asked for the same (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

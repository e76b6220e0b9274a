import { expect } from "@jest/globals";
import type { Scenario } from "../scenario.js";

const runLength = 16;

/** Keys are proofs. */
export const keyScenarios: readonly Scenario[] = [
  {
    title: "keys are all different and share no 16 bytes, so that none can be guessed from others",
    async run({ driver, name }) {
      const owners = new Map<string, number>();
      const locks = [name(), name()];
      for (let grant = 0; grant < 40; grant++) {
        const { key } = await driver.lock(locks[grant % 2] ?? name());
        await driver.unlock(key);
        expect(key.byteLength).toBeGreaterThanOrEqual(runLength);
        for (let start = 0; start + runLength <= key.byteLength; start++) {
          const run = Buffer.from(key.subarray(start, start + runLength)).toString("hex");
          expect(owners.get(run) ?? grant).toBe(grant);
          owners.set(run, grant);
        }
      }
    },
  },
];

import { describe, expect, test } from "@jest/globals";
import { simulate } from "./simulation.js";

/** For more: `SIMULATION_SEEDS=1000 SIMULATION_STEPS=2000`, or `npm run simulate`. */
const seeds = Number(process.env.SIMULATION_SEEDS ?? 40);
const steps = Number(process.env.SIMULATION_STEPS ?? 1_000);
const allSessions = { profile: { sessions: 1 } };

describe("nodes, clients and a store under faults", () => {
  test(`keep every invariant over ${seeds} seeds of ${steps} steps`, async () => {
    let grants = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      grants += (await simulate({ seed, steps })).grants;
    }
    expect(grants).toBeGreaterThan(seeds);
  }, 600_000);

  test("keep every invariant where all clients have sessions, over as many steps", async () => {
    let grants = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      grants += (await simulate({ seed, steps, variant: allSessions })).grants;
    }
    expect(grants).toBeGreaterThan(seeds);
  }, 600_000);

  test.each([{}, allSessions])("do the same again for the same seed: %j", async (variant) => {
    for (const seed of [3, 5, 8]) {
      expect(await simulate({ seed, steps, variant })).toEqual(await simulate({ seed, steps, variant }));
    }
  });

  test("do something else for another seed", async () => {
    const { hash } = await simulate({ seed: 11, steps });
    expect((await simulate({ seed: 12, steps })).hash).not.toBe(hash);
  });
});

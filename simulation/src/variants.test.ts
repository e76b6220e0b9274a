import { describe, expect, test } from "@jest/globals";
import type { BrokenVariant } from "./broken-variant.js";
import { simulate, SimulationError } from "./simulation.js";
import { variants } from "./variants.js";

const stepsPerSeed = 2_000;

/** Finds the first violation of what the variant breaks, and after how many steps over all seeds. */
async function find({
  create,
  breaks,
  withinSteps,
}: BrokenVariant): Promise<{ found: SimulationError; steps: number }> {
  let steps = 0;
  for (let seed = 1; steps < withinSteps; seed++) {
    try {
      steps += (await simulate({ seed, steps: stepsPerSeed, variant: create() })).steps;
    } catch (error) {
      if (!(error instanceof SimulationError)) {
        throw error;
      }
      steps += error.step;
      if (breaks.includes(error.violation.invariant)) {
        return { found: error, steps };
      }
    }
  }
  throw new Error(`nothing was found in ${steps} steps`);
}

describe("what is wrong on purpose is found", () => {
  test.each([...variants])("%s", async (_name, variant) => {
    const { found, steps } = await find(variant);
    expect(steps).toBeLessThanOrEqual(variant.withinSteps);
    // The seed alone leads to the same violation again.
    const again = simulate({ seed: found.seed, steps: stepsPerSeed, variant: variant.create() });
    await expect(again).rejects.toMatchObject({ seed: found.seed, step: found.step, message: found.message });
  });
});

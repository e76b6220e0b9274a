import { parseArgs } from "node:util";
import { simulate, SimulationError } from "./simulation.js";
import { variants } from "./variants.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    steps: { type: "string", default: "2000" },
    variant: { type: "string" },
    tail: { type: "string", default: "80" },
    "keep-going": { type: "boolean", default: false },
  },
});
const first = Number(values.seed);
const seeds = Number(values.seeds);
const steps = Number(values.steps);
const variant = values.variant === undefined ? undefined : variants.get(values.variant);
if (![first, seeds, steps].every(Number.isInteger) || (values.variant !== undefined && variant === undefined)) {
  console.error("usage: npm run simulate -- [--seed S] [--seeds K] [--steps N a seed] [--variant NAME] [--keep-going]");
  console.error(`variants: ${[...variants.keys()].join(", ")}`);
  process.exit(2);
}

let total = 0;
let grants = 0;
let simulatedMs = 0;
let violations = 0;
const startedMs = performance.now();
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const result = await simulate({
      seed,
      steps,
      tailLines: Number(values.tail),
      ...(variant && { variant: variant.create() }),
    });
    total += result.steps;
    grants += result.grants;
    simulatedMs += result.simulatedMs;
    if (seeds === 1) {
      console.log(`seed ${seed}: trace ${result.hash}`);
    }
  } catch (error) {
    if (!(error instanceof SimulationError)) {
      throw error;
    }
    violations++;
    total += error.step;
    console.error(values["keep-going"] ? error.message.split("\n", 1)[0] : error.message);
    if (!values["keep-going"]) {
      break;
    }
  }
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `${seeds} seeds, ${total} steps, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${grants} grants, ` +
    `${violations} violations, in ${seconds.toFixed(1)} s`,
);
process.exitCode = violations > 0 ? 1 : 0;

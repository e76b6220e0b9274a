import { parseArgs } from "node:util";
import { simulate, SimulationError } from "./simulation.js";
import { variants } from "./variants.js";

const { values, seed, seeds, steps, tailLines, variant } = readArguments();

let total = 0;
let grants = 0;
let simulatedMs = 0;
let violations = 0;
const startedMs = performance.now();
for (let at = seed; at < seed + seeds; at++) {
  try {
    const result = await simulate({
      seed: at,
      steps,
      tailLines,
      ...(variant && { variant: variant.create() }),
    });
    total += result.steps;
    grants += result.grants;
    simulatedMs += result.simulatedMs;
    if (seeds === 1) {
      console.log(`seed ${at}: trace ${result.hash}`);
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

function readArguments() {
  try {
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
    const variant = values.variant === undefined ? undefined : variants.get(values.variant);
    if (values.variant !== undefined && variant === undefined) {
      throw new Error(`--variant must be one of ${[...variants.keys()].join(", ")}`);
    }
    const [seed, seeds, steps, tailLines] = (["seed", "seeds", "steps", "tail"] as const).map((name) => {
      if (!/^\d{1,9}$/.test(values[name])) {
        throw new Error(`--${name} must be a whole number, but is "${values[name]}"`);
      }
      return Number(values[name]);
    }) as [number, number, number, number];
    return { values, seed, seeds, steps, tailLines, variant };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(
      "usage: npm run simulate -- [--seed S] [--seeds K] [--steps N a seed] [--tail LINES] [--variant NAME] [--keep-going]",
    );
    return process.exit(2);
  }
}

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Options, parseOptions, usage } from "./options.js";
import { runBenchmark } from "./run-benchmark.js";
import { runSoak } from "./soak/run-soak.js";
import { allWorkloads } from "./workloads/all-workloads.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

let options: Options;
try {
  options = parseOptions(
    process.argv.slice(2),
    allWorkloads.map(({ id }) => id),
  );
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exit(2);
}

const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => {
    interrupt.abort(new Error(`ended by ${name}`));
  });
}

const startedMs = performance.now();
const log = (text: string): void => {
  console.log(`[${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s] ${text}`);
};
const { only, update, quick, scale, soakMinutes } = options;
const full = !quick && (only === undefined || update) && scale === 1 && soakMinutes === undefined;
const out = options.out === undefined ? resolve(root, full ? "docs" : "bench/results") : resolve(options.out);
const { signal } = interrupt;
try {
  const good =
    soakMinutes === undefined
      ? await runBenchmark({ options, out, signal, log })
      : await runSoak({ minutes: soakMinutes, out, signal, log });
  process.exitCode = good ? 0 : 1;
} catch (error) {
  // After an interrupt, failures come from the interrupt.
  console.error(signal.aborted ? String(signal.reason) : error);
  process.exitCode = 1;
}

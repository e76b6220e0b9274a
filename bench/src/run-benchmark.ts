import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Options } from "./options.js";
import { chart } from "./report/chart.js";
import { describeMachine, machineLines } from "./report/machine.js";
import { markdownReport } from "./report/markdown.js";
import { type Measured, Results } from "./report/results.js";
import { figuresTable, rowsTable, verdictsTable } from "./report/tables.js";
import { judge } from "./report/targets.js";
import { textTable } from "./report/text-table.js";
import { allWorkloads } from "./workloads/all-workloads.js";
import type { Context, Plan } from "./workloads/workload.js";

export interface RunOptions {
  readonly options: Options;
  /** Folder for the results. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly log: Context["log"];
}

const quickPlan = { quick: true, rounds: 3, roundMs: 1_000, warmUpMs: 3_000, warmUpSteps: 1 };
const fullPlan = { quick: false, rounds: 3, roundMs: 2_000, warmUpMs: 4_000, warmUpSteps: 8 };

/**
 * Runs the workloads that were asked for, and prints and writes the results. Resolves with whether no target was
 * missed.
 */
export async function runBenchmark({ options, out, signal, log }: RunOptions): Promise<boolean> {
  const plan: Plan = { ...(options.quick ? quickPlan : fullPlan), scale: options.scale };
  const machine = await describeMachine();
  console.log(`${machineLines(machine).join("\n")}\n`);
  const workloads = allWorkloads.filter(({ id, quick }) => options.only?.includes(id) ?? (!plan.quick || quick));
  const path = join(out, "benchmarks.json");
  const results = new Results(options.update ? await readOutcomes(path) : []);
  for (const workload of workloads) {
    signal.throwIfAborted();
    log(workload.title);
    const outcome = await workload.run({ plan, signal, log });
    results.add(workload.id, { ...outcome, machine });
    if (outcome.rows.length > 0) {
      console.log(`\n${textTable(rowsTable(outcome.rows, results))}\n`);
    }
    if (outcome.figures.length > 0) {
      console.log(`\n${textTable(figuresTable(outcome.figures))}\n`);
    }
  }
  const verdicts = judge(results);
  console.log(`\n${textTable(verdictsTable(verdicts))}\n`);

  await mkdir(out, { recursive: true });
  const outcomes = Object.fromEntries(results.outcomes);
  const measured = allWorkloads.filter(({ id }) => results.outcomes.has(id));
  await writeFile(path, `${JSON.stringify({ plan, verdicts, outcomes }, undefined, 2)}\n`);
  await writeFile(
    join(out, "benchmarks.md"),
    markdownReport({ machine, plan, workloads: measured, results, verdicts }),
  );
  await writeFile(join(out, "benchmarks.svg"), chart(results));
  log(`written: benchmarks.json, benchmarks.md and benchmarks.svg in ${out}`);
  return !verdicts.some(({ outcome }) => outcome === "miss");
}

/** What earlier runs have found, by the ids of their workloads. */
async function readOutcomes(path: string): Promise<[string, Measured][]> {
  const { outcomes } = JSON.parse(await readFile(path, "utf8")) as { outcomes: Record<string, Measured> };
  return Object.entries(outcomes);
}

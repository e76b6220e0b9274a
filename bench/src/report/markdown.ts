import type { Plan, Workload } from "../workloads/workload.js";
import { type Machine, machineLines } from "./machine.js";
import type { Results } from "./results.js";
import { figuresTable, rowsTable, verdictsTable } from "./tables.js";
import type { Verdict } from "./targets.js";
import { markdownTable } from "./text-table.js";

export interface Report {
  /** Of the last run. */
  readonly machine: Machine;
  readonly plan: Plan;
  /** Those that were measured, in their order. */
  readonly workloads: readonly Workload[];
  readonly results: Results;
  readonly verdicts: readonly Verdict[];
}

/** The report as a page of documentation. */
export function markdownReport({ machine, plan, workloads, results, verdicts }: Report): string {
  const { rounds, roundMs } = plan;
  const sections = workloads.map((workload) => section(workload, results, machine));
  return `<!-- Written by \`npm run bench\`; do not edit. -->

# Benchmarks

![Locks a second of metasrv and its peers](benchmarks.svg)

## What must hold

${markdownTable(verdictsTable(verdicts))}

## Method

Everything runs on one machine: the service that is measured, its store, and the load generator, each in a process of its
own. The store is a real etcd with its data on disk and every commit fsynced, or a real Redis, either without
persistence ("volatile") or with an append-only file that is fsynced before each answer ("AOF always"). metasrv runs as the
[operations guide](operations.md) has it, with \`NODE_OPTIONS=--max-semi-space-size=32\`.

All contenders of a workload take turns in ${rounds} rounds of ${roundMs / 1000} s, there and back again, after having been
warmed up: ${warmUp(plan)}.
The first half second of each turn is not counted. What a table shows is the median of the rounds; a ratio is the median of
the ratios within each round, so that a machine whose speed drifts favours nobody.

The load is closed: each caller asks again when it was answered. A lock that is "in flight" is asked for, held and
released; its latency is that of both calls together. CPU time is what the kernel counted for each process, divided by
the locks taken: a lock that costs 100 µs on the busiest process cannot be had more than 10,000 times a second on this
machine.

Peers: etcd's own lock service, called by grpc-js with a lease for each caller; the \`Lock\` of the npm package etcd3;
Redlock, and the Mutex and the Semaphore of redis-semaphore, over one Redis; and, for shared locks and semaphores, a recipe
on etcd3 that was written for this benchmark. What each guarantees differs: a volatile Redis forgets its locks when it stops,
and none of the Redis locks has a queue or a fencing token. Floors are no locks: they show what remains when everything but
a store or a transport is left out.

Again: \`npm run bench\` (all, and this page, in about an hour), \`npm run bench -- --quick\` (the main workloads in two
to three minutes), \`npm run bench -- --only free-64\`, with \`--update\` into this page, \`npm run bench -- --soak 30\`. Other
versions of etcd and Redis are named by \`ETCD_BIN\` and \`REDIS_BIN\`.

## Machine and versions

${machineLines(machine)
  .map((line) => `- ${line}`)
  .join("\n")}

## Figures

${sections.join("\n\n")}
`;
}

/** How long contenders are warmed up, in words for the page. */
function warmUp({ warmUpMs, warmUpSteps }: Plan): string {
  const stepSeconds = warmUpMs / 1000;
  return warmUpSteps === 1
    ? `for ${stepSeconds} s each; a Node server would get faster for some twenty more, while its code is compiled`
    : `each for as long as it gets faster, as code of Node does while it is compiled, for ${stepSeconds * warmUpSteps} s at most`;
}

function section({ id, title, method }: Workload, results: Results, machine: Machine): string {
  const { rows, figures, machine: own } = results.outcomes.get(id) ?? { rows: [], figures: [], machine };
  const others = machineLines(own).filter((line) => !machineLines(machine).includes(line));
  return [
    `### ${title}`,
    `${method} Alone: \`--only ${id}\`.${others.length > 0 ? ` In an earlier run: ${others.join("; ")}.` : ""}`,
    ...(rows.length > 0 ? [markdownTable(rowsTable(rows, results))] : []),
    ...(figures.length > 0 ? [markdownTable(figuresTable(figures))] : []),
  ].join("\n\n");
}

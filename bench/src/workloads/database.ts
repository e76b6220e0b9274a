import { setTimeout as sleep } from "node:timers/promises";
import type { Etcd } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import { type DatabaseSize, databaseSize, defragment } from "../measure/database-size.js";
import { readEtcdMetrics } from "../measure/etcd-metrics.js";
import type { Figure } from "../measure/figure.js";
import { startBenchEtcd } from "../servers/etcd.js";
import { startBenchMetasrv } from "../servers/metasrv.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const locks = 1_000_000;
const inFlight = 512;
const burstMs = 1_000;

interface Compaction {
  readonly mode: "periodic" | "revision";
  readonly retention: string;
  /** For people. */
  readonly text: string;
  /** How many of the revisions that there were at the end of the load stay. */
  readonly kept: number;
  /**
   * How long it may take until etcd compacts: in one mode it looks every five minutes, in the other as often as its
   * option says.
   */
  readonly withinMs: number;
}

const compactions: readonly Compaction[] = [
  {
    mode: "periodic",
    retention: "1m",
    text: "those of more than a minute ago are removed",
    kept: 0,
    withinMs: 240_000,
  },
  { mode: "revision", retention: "1000", text: "all but the last 1,000 are removed", kept: 1_000, withinMs: 400_000 },
];

/** How large etcd's database gets, a workload for each way of compaction. */
export const database: readonly Workload[] = compactions.map((compaction) => ({
  id: `database-${compaction.mode}`,
  title: `etcd's database after 1,000,000 locks, compaction mode ${compaction.mode}`,
  method:
    `Free locks, ${inFlight} in flight, over an etcd with \`--auto-compaction-mode=${compaction.mode} ` +
    `--auto-compaction-retention=${compaction.retention}\`: of old revisions, ${compaction.text}. Sizes are from etcd's ` +
    "status: when the last lock was released, when etcd has compacted after that by itself, and after a defragmentation.",
  quick: false,
  run: (context) => run(compaction, context),
}));

async function run(compaction: Compaction, { plan, signal, log }: Context): Promise<Outcome> {
  const { mode, retention } = compaction;
  await using etcd = await startBenchEtcd([
    `--auto-compaction-mode=${mode}`,
    `--auto-compaction-retention=${retention}`,
  ]);
  await using server = await startBenchMetasrv({ store: etcd.endpoint });
  await using driver = await DriverProcess.start();
  await driver.do("open", { spec: { kind: "metasrv", urls: [server.url] }, clients: 1 });
  const count = scaled(locks, plan);
  let done = 0;
  while (done < count) {
    signal.throwIfAborted();
    const { cycles, failure } = await driver.do("cycles", { inFlight, durationMs: burstMs, names: "free" });
    if (cycles === 0) {
      throw new Error(`no lock was taken: ${failure ?? "no cycle ended"}`);
    }
    done += cycles;
  }
  const loaded = await databaseSize(etcd.endpoint);
  log(`${done} locks were taken and released`);
  await untilCompacted(etcd, compaction, signal);
  const compacted = await databaseSize(etcd.endpoint);
  await defragment(etcd.endpoint);
  const defragmented = await databaseSize(etcd.endpoint);
  return { rows: [], figures: figuresOf(mode, done, { loaded, compacted, defragmented }) };
}

async function untilCompacted({ endpoint }: Etcd, { kept, withinMs }: Compaction, signal: AbortSignal): Promise<void> {
  const { revision } = await readEtcdMetrics(endpoint);
  const deadlineMs = performance.now() + withinMs;
  while ((await readEtcdMetrics(endpoint)).compactRevision < revision - kept) {
    if (performance.now() > deadlineMs) {
      throw new Error(`etcd has not compacted up to revision ${revision - kept} within ${withinMs / 1000} s`);
    }
    await sleep(1_000, undefined, { signal });
  }
  // The new revision shows when a compaction begins, not when it ends.
  let before = Infinity;
  for (let { used } = await databaseSize(endpoint); used < before; { used } = await databaseSize(endpoint)) {
    before = used;
    await sleep(2_000, undefined, { signal });
  }
}

function figuresOf(
  mode: Compaction["mode"],
  done: number,
  sizes: Readonly<Record<"loaded" | "compacted" | "defragmented", DatabaseSize>>,
): Figure[] {
  const figure = (id: string, label: string, bytes: number): Figure => ({
    id: `database-${mode}/${id}`,
    label,
    value: bytes / 1024 ** 2,
    unit: "MiB",
    note: `${(bytes / done).toFixed(1)} bytes a lock`,
  });
  const { loaded, compacted, defragmented } = sizes;
  return [
    figure("loaded", `database after ${done} locks`, loaded.file),
    figure("compacted-file", "once compacted, its file", compacted.file),
    figure("compacted-used", "once compacted, what is used of it", compacted.used),
    figure("defragmented", "defragmented", defragmented.file),
  ];
}

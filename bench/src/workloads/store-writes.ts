import { setTimeout as sleep } from "node:timers/promises";
import { DriverProcess } from "../driver/driver-process.js";
import { readEtcdMetrics } from "../measure/etcd-metrics.js";
import type { Figure } from "../measure/figure.js";
import { writtenBytes } from "../measure/process-usage.js";
import { median } from "../measure/statistics.js";
import { type ContenderId, contenders } from "../peers/contenders.js";
import { Arena } from "../servers/arena.js";
import type { Context, Outcome, Workload } from "./workload.js";

const lanes = [
  { contender: "metasrv", inFlight: 1 },
  { contender: "metasrv", inFlight: 64 },
  { contender: "metasrv", inFlight: 512 },
  { contender: "v3lock", inFlight: 64 },
  { contender: "v3lock", inFlight: 512 },
] as const satisfies readonly { contender: ContenderId; inFlight: number }[];

// etcd writes its database 100 ms after a change.
const settleMs = 500;

/** What etcd has to write for a lock. */
export const storeWrites: Workload = {
  id: "store-writes",
  title: "What etcd writes for a lock and unlock",
  method:
    "Free locks, in alternating rounds over one etcd. Its write-ahead log is what it counts itself " +
    "(`etcd_disk_wal_write_bytes_total`); the disk is what the kernel counts for its process (`write_bytes`: the log, in " +
    "whole pages, and the database). A transaction is a call of `Txn`; a log entry is one of Raft, which etcd's own lock " +
    "service makes without such calls.",
  quick: false,
  run,
};

interface Written {
  readonly wal: number;
  readonly disk: number;
  readonly proposals: number;
  readonly txns: number;
}

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  await using arena = new Arena();
  const etcd = await arena.etcd();
  const counted = async (): Promise<Written> => {
    await sleep(settleMs);
    const { walBytes, proposals, txns } = await readEtcdMetrics(etcd.endpoint);
    return { wal: walBytes, disk: writtenBytes(etcd.pid), proposals, txns };
  };
  await using metasrv = await openDriver("metasrv", arena);
  await using v3lock = await openDriver("v3lock", arena);
  const drivers = { metasrv, v3lock } as const;
  const rounds = lanes.map((lane) => ({ ...lane, written: [] as Written[] }));
  for (let round = 0; round < plan.rounds; round++) {
    for (const { contender, inFlight, written } of round % 2 === 0 ? rounds : rounds.toReversed()) {
      signal.throwIfAborted();
      const before = await counted();
      const { cycles } = await drivers[contender].do("cycles", { inFlight, durationMs: plan.roundMs, names: "free" });
      const after = await counted();
      written.push({
        wal: (after.wal - before.wal) / cycles,
        disk: (after.disk - before.disk) / cycles,
        proposals: (after.proposals - before.proposals) / cycles,
        txns: (after.txns - before.txns) / cycles,
      });
    }
    log(`round ${round + 1} of ${plan.rounds} is done`);
  }
  return { rows: [], figures: rounds.flatMap(figuresOf) };
}

async function openDriver(contender: keyof typeof contenders, arena: Arena): Promise<DriverProcess> {
  const { load } = await contenders[contender].seat(arena);
  if (load.kind === "h2load") {
    throw new Error("h2load takes no locks");
  }
  const driver = await DriverProcess.start();
  await driver.do("open", { spec: load, clients: 1 });
  await driver.do("cycles", { inFlight: 64, durationMs: 1_000, names: "free" });
  return driver;
}

function figuresOf({
  contender,
  inFlight,
  written,
}: (typeof lanes)[number] & { readonly written: Written[] }): Figure[] {
  const id = `store-writes/${contender}-${inFlight}`;
  const label = `${contenders[contender].label}, ${inFlight} in flight`;
  const middle = (what: keyof Written): number => median(written.map((round) => round[what]));
  return [
    { id: `${id}/wal`, label: `${label}: write-ahead log`, value: middle("wal"), unit: "bytes a lock" },
    { id: `${id}/disk`, label: `${label}: disk`, value: middle("disk"), unit: "bytes a lock" },
    contender === "metasrv"
      ? { id: `${id}/txns`, label: `${label}: transactions`, value: middle("txns"), unit: "a lock" }
      : { id: `${id}/entries`, label: `${label}: log entries`, value: middle("proposals"), unit: "a lock" },
  ];
}

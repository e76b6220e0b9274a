import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { median } from "../measure/statistics.js";
import { FilledStore, manyTicketsEnv } from "../servers/filled-store.js";
import { timeToServe } from "../servers/metasrv.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const tickets = 1_000_000;
const inFlight = 512;
const withinMs = 240_000;
const starts = 3;

/** How long a start takes with many tickets. */
export const start: Workload = {
  id: "start",
  title: "Start of a server with 1,000,000 tickets",
  method:
    "A server takes the tickets, and then free locks until it has written a snapshot in which the tickets all are. It is " +
    "stopped, and started again on what lies in etcd: the snapshot, and the log since then. Measured is the time from the " +
    "start of the process until `/readyz` says so, in turns with a start over the same etcd and a prefix that nothing is " +
    `under; the median of ${starts} each. The difference is what loading takes.`,
  quick: false,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  const count = scaled(tickets, plan);
  await using store = await FilledStore.start(count);
  const filledUnixMs = Date.now();
  log(`${count} tickets are held`);
  await using driver = await DriverProcess.start();
  await driver.do("steady-load", { url: store.server.url, inFlight });
  await store.untilSnapshots(1, filledUnixMs, withinMs, signal);
  const [written] = store.snapshotsSince(filledUnixMs);
  await driver[Symbol.asyncDispose]();
  await store.server.stop();
  const ready: number[] = [];
  const empty: number[] = [];
  for (let n = 0; n < starts; n++) {
    signal.throwIfAborted();
    const { endpoint } = store.etcd;
    ready.push((await timeToServe({ store: endpoint, env: manyTicketsEnv })) / 1000);
    empty.push((await timeToServe({ store: endpoint, env: manyTicketsEnv, prefix: `empty-${n}` })) / 1000);
    log(`ready after ${ready.at(-1)?.toFixed(2) ?? ""} s; with nothing to load, ${empty.at(-1)?.toFixed(2) ?? ""} s`);
  }
  const loads = ready.map((seconds, n) => seconds - (empty[n] ?? NaN));
  const figures: Figure[] = [
    { id: `start/ready-${count}`, label: `start with ${count} tickets`, value: median(ready), unit: "s" },
    { id: "start/ready-0", label: "start with none", value: median(empty), unit: "s" },
    { id: `start/load-${count}`, label: "so loading takes", value: median(loads), unit: "s" },
    { id: "start/snapshot", label: "snapshot that is loaded", value: (written?.bytes ?? NaN) / 1024 ** 2, unit: "MiB" },
  ];
  return { rows: [], figures };
}

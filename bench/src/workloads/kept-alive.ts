import { setTimeout as sleep } from "node:timers/promises";
import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { cpuSeconds } from "../measure/process-usage.js";
import { Arena } from "../servers/arena.js";
import type { Context, Outcome, Workload } from "./workload.js";

const count = 10_000;
const ttlMs = 10_000;
const measuredMs = 20_000;

/** The cost of keeping many locks alive. */
export const keptAlive: Workload = {
  id: "kept-alive",
  title: "10,000 held locks kept alive",
  method:
    `One client holds ${count} locks with a TTL of ${ttlMs / 1000} s and renews each as it does by default. CPU time is ` +
    `counted over ${measuredMs / 1000} s, after one TTL in which nothing is counted.`,
  quick: false,
  run,
};

async function run({ log }: Context): Promise<Outcome> {
  await using arena = new Arena();
  const [server] = await arena.metasrv(1);
  const etcd = await arena.etcd();
  await using driver = await DriverProcess.start();
  await driver.do("keep-alive", { url: server.url, count, ttlMs });
  log(`${count} locks are held`);
  await sleep(ttlMs);
  const processes = { server: server.pid, client: driver.pid, etcd: etcd.pid };
  const before = Object.values(processes).map((pid) => cpuSeconds([pid]));
  const startedMs = performance.now();
  const { renewals, lost } = await driver.do("count-renewals", { durationMs: measuredMs });
  const seconds = (performance.now() - startedMs) / 1000;
  const figures: Figure[] = Object.entries(processes).map(([name, pid], index) => {
    const used = cpuSeconds([pid]) - (before[index] ?? 0);
    return {
      id: `kept-alive/${name}-cpu`,
      label: `CPU of the ${name}, 10,000 locks kept alive`,
      value: (used / seconds) * 100,
      unit: "% of a core",
      note: `${((used * 1e6) / renewals).toFixed(0)} µs a renewal`,
    };
  });
  figures.push(
    { id: "kept-alive/renewals", label: "renewals", value: renewals / seconds, unit: "1/s" },
    { id: "kept-alive/lost", label: "locks lost meanwhile", value: lost, unit: "" },
  );
  return { rows: [], figures };
}

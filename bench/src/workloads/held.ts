import type { Etcd, Metasrv } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import { median } from "../measure/statistics.js";
import { startBenchEtcd } from "../servers/etcd.js";
import { startBenchMetasrv, timeToListen } from "../servers/metasrv.js";
import { contest, type Entry } from "./contest.js";
import type { Context, Outcome, Workload } from "./workload.js";

const counts = [1_000, 100_000, 1_000_000];
const ttlSeconds = 86_400;
const loads = 3;
// A server with a million tickets outgrows Node's own limit.
const env = { NODE_OPTIONS: "--max-old-space-size=8192" };

/** Throughput against the number of locks that are held meanwhile, and how long a start takes with that many. */
export const held: Workload = {
  id: "held",
  title: "Free locks, 64 in flight, by number of locks held",
  method:
    "Three servers, each over an etcd of its own, hold 1,000, 100,000 and 1,000,000 locks and are measured in " +
    "alternating rounds. The server with the most is then stopped and started again: the load time is that from the " +
    `start of the process to its first service, the median of ${loads}.`,
  quick: false,
  run,
};

interface Full extends AsyncDisposable {
  readonly count: number;
  readonly etcd: Etcd;
  readonly server: Metasrv;
}

async function run(context: Context): Promise<Outcome> {
  const { plan, log } = context;
  const all: Full[] = [];
  try {
    for (const count of plan.quick ? counts.slice(0, 2) : counts) {
      context.signal.throwIfAborted();
      const full = await start(count);
      all.push(full);
      await using filler = await DriverProcess.start();
      const startedMs = performance.now();
      await filler.do("hold", { url: full.server.url, count, ttlSeconds });
      log(`${count} locks are held, taken in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    }
    const entries = all.map(({ count, etcd, server }): Entry => ({
      workload: `held-${count}`,
      contender: "metasrv",
      seat: { load: { kind: "metasrv", urls: [server.url] }, pids: { server: [server.pid], store: [etcd.pid] } },
      inFlight: 64,
      clients: 1,
      names: "free",
    }));
    const rows = await contest(entries, context);
    const last = all.at(-1);
    return { rows, figures: last === undefined ? [] : [await load(last, context)] };
  } finally {
    for (const full of all) {
      await full[Symbol.asyncDispose]();
    }
  }
}

async function start(count: number): Promise<Full> {
  const etcd = await startBenchEtcd();
  try {
    const server = await startBenchMetasrv({ store: etcd.endpoint, env });
    return {
      count,
      etcd,
      server,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await etcd[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}

async function load({ count, etcd, server }: Full, { log }: Context) {
  await server.stop();
  const seconds: number[] = [];
  for (let n = 0; n < loads; n++) {
    seconds.push((await timeToListen({ store: etcd.endpoint, env })) / 1000);
    log(`${count} tickets were loaded in ${seconds.at(-1)?.toFixed(2) ?? ""} s`);
  }
  return { id: `load-${count}`, label: `start with ${count} tickets`, value: median(seconds), unit: "s" };
}

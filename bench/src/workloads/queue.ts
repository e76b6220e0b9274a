import { DriverProcess } from "../driver/driver-process.js";
import { cpuSeconds } from "../measure/process-usage.js";
import { type Sample, summarize } from "../measure/sample.js";
import { Arena } from "../servers/arena.js";
import type { Context, Outcome, Workload } from "./workload.js";

const lengths = [1, 100, 10_000];

/** Grant latency against queue length. */
export const queue: Workload = {
  id: "queue",
  title: "Grant after an unlock, by length of the queue",
  method:
    "One client holds three locks for which 1, 100 and 10,000 requests wait. Measured is the time from the call that " +
    "releases a lock to the moment at which the next waiter has its handle; a new waiter then takes the last place.",
  quick: true,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  await using arena = new Arena();
  const [server] = await arena.metasrv(1);
  const etcd = await arena.etcd();
  await using driver = await DriverProcess.start();
  for (const waiters of lengths) {
    await driver.do("queue", { url: server.url, lock: nameOf(waiters), waiters });
  }
  log("the queues have formed");
  for (const waiters of lengths) {
    await driver.do("grants", { lock: nameOf(waiters), samples: 50 });
  }
  const samples = new Map<number, Sample[]>(lengths.map((waiters) => [waiters, []]));
  const pids = { client: [driver.pid], server: [server.pid], store: [etcd.pid] };
  const used = () => ({
    client: cpuSeconds(pids.client),
    server: cpuSeconds(pids.server),
    store: cpuSeconds(pids.store),
  });
  for (let round = 0; round < plan.rounds; round++) {
    for (const waiters of round % 2 === 0 ? lengths : lengths.toReversed()) {
      signal.throwIfAborted();
      const before = used();
      const startedMs = performance.now();
      const done = await driver.do("grants", { lock: nameOf(waiters), samples: plan.quick ? 60 : 150 });
      const after = used();
      samples.get(waiters)?.push({
        cycles: done.samplesMs.length,
        failed: 0,
        seconds: (performance.now() - startedMs) / 1000,
        p50Ms: done.p50Ms,
        p99Ms: done.p99Ms,
        cpuSeconds: {
          client: after.client - before.client,
          server: after.server - before.server,
          store: after.store - before.store,
        },
      });
    }
  }
  const rows = [...samples].map(([waiters, rounds]) => ({
    ...summarize(`queue-${waiters}`, "metasrv", rounds),
    paced: true,
  }));
  return { rows, figures: [] };
}

function nameOf(waiters: number): string {
  return `queue-of-${waiters}`;
}

import { setTimeout as sleep } from "node:timers/promises";
import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { quantile } from "../measure/statistics.js";
import { Arena } from "../servers/arena.js";
import type { Context, Outcome, Workload } from "./workload.js";

const requests = 5_000;
const clients = 50;
const everyMs = 1;
const quietMs = 500;
const lock = "burst";

/** Whether a try-lock has to wait behind requests that wait. */
export const tryBurst: Workload = {
  id: "try-burst",
  title: "Try-locks while 5,000 requests for the same lock come in",
  method:
    `A lock is held. ${requests} requests for it come in at once, from ${clients} clients of another process, while one ` +
    `client tries for it every ${everyMs} ms, whether those before were answered or not. Counted are the tries from the ` +
    "first request on until all requests wait; beside them, in the same rounds, as many milliseconds in which nobody else " +
    "asks. All waits are then cancelled.",
  quick: true,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  await using arena = new Arena();
  const [server] = await arena.metasrv(1);
  const { url } = server;
  await using crowd = await DriverProcess.start();
  await using single = await DriverProcess.start();
  await crowd.do("rush-open", { url, lock, clients });
  const triesDuring = async (during: () => Promise<unknown>): Promise<readonly number[]> => {
    await single.do("try", { url, lock, everyMs });
    await during();
    const { latenciesMs, granted, failure } = await single.do("try-end", null);
    if (granted > 0 || failure !== undefined) {
      throw new Error(failure ?? `a lock that is held was granted ${granted} times`);
    }
    return latenciesMs;
  };
  const rush = () => crowd.do("rush", { requests });
  const quiet: number[] = [];
  const burst: number[] = [];
  const burstsMs: number[] = [];
  const rounds = plan.quick ? 4 : 12;
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    const idle = await triesDuring(() => sleep(quietMs));
    const startedMs = performance.now();
    const rushed = await triesDuring(rush);
    const tookMs = performance.now() - startedMs;
    await crowd.do("rush-end", null);
    await sleep(quietMs);
    // In the first round, code is compiled.
    if (round > 0) {
      quiet.push(...idle);
      burst.push(...rushed);
      burstsMs.push(tookMs);
    }
  }
  log(`${requests} requests came in ${burstsMs.length} times, in ${quantile(burstsMs, 0.5).toFixed(0)} ms`);
  return { rows: [], figures: [...figuresOf("burst", burst), ...figuresOf("quiet", quiet)] };
}

function figuresOf(when: "burst" | "quiet", latenciesMs: readonly number[]): Figure[] {
  const label = when === "burst" ? "a try-lock meanwhile" : "a try-lock without them";
  const figure = (id: string, what: string, value: number): Figure => ({
    id: `try-burst/${when}-${id}`,
    label: `${label}, ${what}`,
    value,
    unit: "ms",
    note: `of ${latenciesMs.length}`,
  });
  return [
    figure("p50", "p50", quantile(latenciesMs, 0.5)),
    figure("p99", "p99", quantile(latenciesMs, 0.99)),
    figure("max", "slowest", quantile(latenciesMs, 1)),
  ];
}

import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { quantile } from "../measure/statistics.js";
import { Arena } from "../servers/arena.js";
import type { Context, Outcome, Workload } from "./workload.js";

const warmUp = 100;

/** What a process pays that needs one lock. */
export const oneLock: Workload = {
  id: "one-lock",
  title: "One lock of a short process",
  method:
    "A client is made, takes a free lock, releases it, and is closed; in turns with a call of `Lock` and one of `Unlock` over a " +
    `connection of their own. Both over etcd, one at a time, after ${warmUp} of each that do not count. The start of a process ` +
    "is not in it. The client takes one round trip more than the calls, which a test counts.",
  quick: true,
  run,
};

async function run({ plan, log }: Context): Promise<Outcome> {
  await using arena = new Arena();
  const [server] = await arena.metasrv(1);
  const { url } = server;
  await using driver = await DriverProcess.start();
  await driver.do("short-clients", { url, count: warmUp });
  const count = plan.quick ? 300 : 1_000;
  const { clientMs, callsMs } = await driver.do("short-clients", { url, count });
  log(`${count} locks by clients of their own, and as many by calls`);
  return { rows: [], figures: [...figuresOf("client", clientMs), ...figuresOf("calls", callsMs)] };
}

function figuresOf(by: "client" | "calls", latenciesMs: readonly number[]): Figure[] {
  const label = by === "client" ? "new client, lock, release, close" : "connection, Lock, Unlock";
  const note = `of ${latenciesMs.length}`;
  return [
    { id: `one-lock/${by}-p50`, label: `${label}, p50`, value: quantile(latenciesMs, 0.5), unit: "ms", note },
    { id: `one-lock/${by}-p99`, label: `${label}, p99`, value: quantile(latenciesMs, 0.99), unit: "ms", note },
  ];
}

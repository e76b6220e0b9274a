import { setTimeout as sleep } from "node:timers/promises";
import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { longestPause } from "../measure/longest-pause.js";
import { rateBetween } from "../measure/rate.js";
import { median } from "../measure/statistics.js";
import { FilledStore, type WrittenSnapshot } from "../servers/filled-store.js";
import { LoopProbe } from "../servers/loop-probe-client.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const tickets = 1_000_000;
const inFlight = 64;
// A snapshot is compared with as much time before and after it as it took, within these bounds.
const leastWindowMs = 3_000;
const mostWindowMs = 10_000;
const withinMs = 240_000;

/** What requesters notice of a snapshot. */
export const snapshot: Workload = {
  id: "snapshot",
  title: "While a snapshot of 1,000,000 tickets is written",
  method:
    `A server holds the tickets, while free locks are taken and released, ${inFlight} in flight, until the log has grown ` +
    "so much that it writes a snapshot by itself, three times. Compared are the time of each snapshot and the " +
    `${leastWindowMs / 1000} to ${mostWindowMs / 1000} s before and after it, in which the log is also trimmed. Pauses are ` +
    "those of the server's event loop, as `monitorEventLoopDelay` in its process has them; garbage collections of a large " +
    "heap are among them, at any time.",
  quick: false,
  run,
};

interface Windows {
  readonly before: readonly [number, number];
  readonly during: readonly [number, number];
  readonly after: readonly [number, number];
}

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  const count = scaled(tickets, plan);
  await using probe = await LoopProbe.create();
  await using store = await FilledStore.start(count, probe.env);
  log(`${count} tickets are held`);
  await using driver = await DriverProcess.start();
  await driver.do("steady-load", { url: store.server.url, inFlight });
  await sleep(mostWindowMs, undefined, { signal });
  const sinceUnixMs = Date.now();
  const wanted = plan.quick ? 1 : 3;
  for (let written = 1; written <= wanted; written++) {
    await store.untilSnapshots(written, sinceUnixMs, withinMs, signal);
    log(`snapshot ${written} of ${wanted} is written`);
  }
  await sleep(mostWindowMs + 1_000, undefined, { signal });
  const marks = await driver.do("steady-marks", null);
  const pauses = await probe.pauses();
  const snapshots = store.snapshotsSince(sinceUnixMs).slice(0, wanted);
  const measured = snapshots.map(windowsOf);
  const shares = measured.map(({ before, during, after }) => {
    const beside = (rateBetween(marks, ...before) + rateBetween(marks, ...after)) / 2;
    return { during: rateBetween(marks, ...during), beside, share: rateBetween(marks, ...during) / beside };
  });
  const each = (what: (snapshot: WrittenSnapshot) => number): number => median(snapshots.map(what));
  const rate = (what: "during" | "beside" | "share"): number => median(shares.map((of) => of[what]));
  const during = measured.map((windows) => windows.during);
  const beside = measured.flatMap(({ before, after }) => [before, after]);
  const note = `longest of ${wanted}`;
  const figures: Figure[] = [
    {
      id: `snapshot/pause-${count}`,
      label: "pause during a snapshot",
      value: longestPause(pauses, during),
      unit: "ms",
      note,
    },
    {
      id: "snapshot/pause-beside",
      label: "pause before or after",
      value: longestPause(pauses, beside),
      unit: "ms",
      note,
    },
    { id: "snapshot/rate", label: "locks during a snapshot", value: rate("during"), unit: "1/s" },
    { id: "snapshot/rate-beside", label: "locks before and after", value: rate("beside"), unit: "1/s" },
    { id: "snapshot/share", label: "the one by the other", value: rate("share"), unit: "" },
    {
      id: "snapshot/seconds",
      label: `writing a snapshot of ${count} tickets`,
      value: each(({ startedUnixMs, endedUnixMs }) => endedUnixMs - startedUnixMs) / 1000,
      unit: "s",
    },
    { id: "snapshot/size", label: "its size", value: each(({ bytes }) => bytes) / 1024 ** 2, unit: "MiB" },
  ];
  return { rows: [], figures };
}

function windowsOf({ startedUnixMs, endedUnixMs }: WrittenSnapshot): Windows {
  const lengthMs = Math.min(mostWindowMs, Math.max(leastWindowMs, endedUnixMs - startedUnixMs));
  return {
    before: [startedUnixMs - lengthMs, startedUnixMs],
    during: [startedUnixMs, endedUnixMs],
    after: [endedUnixMs, endedUnixMs + lengthMs],
  };
}

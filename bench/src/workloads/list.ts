import { setTimeout as sleep } from "node:timers/promises";
import { MetaClient } from "@metasrv/meta-client";
import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { longestPause } from "../measure/longest-pause.js";
import { type Mark, rateBetween } from "../measure/rate.js";
import { median } from "../measure/statistics.js";
import { FilledStore } from "../servers/filled-store.js";
import { LoopProbe } from "../servers/loop-probe-client.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const locks = 1_000_000;
const inFlight = 64;
const besideMs = 120_000;
const windowMs = 3_000;
// After a heap has grown, V8 collects all of it three times more, 100 s apart, to give memory back.
const settledMs = 330_000;

/** What requesters notice while all locks are listed. */
export const list: Workload = {
  id: "list",
  title: "While 1,000,000 locks are listed",
  method:
    `A server holds the locks, while free ones are taken and released, ${inFlight} in flight: for ${settledMs / 1000} s at first, in ` +
    "which V8 collects what is left of taking them, and gives memory back. Then a client lists all of them twice, 250 a page, each as soon as the one " +
    "before is there: the first time, their names are put in order for it. Compared " +
    `is the median of the rates in the windows of ${windowMs / 1000} s of each list with that in the ${besideMs / 1000} s before and ` +
    "after both: single windows differ by a fifth and more with nobody listing.",
  quick: false,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  const count = scaled(locks, plan);
  await using probe = await LoopProbe.create();
  await using store = await FilledStore.start(count, probe.env);
  log(`${count} locks are held`);
  await using driver = await DriverProcess.start();
  await using client = new MetaClient({ endpoints: [store.server.url], discover: false });
  await driver.do("steady-load", { url: store.server.url, inFlight });
  await sleep(settledMs + besideMs, undefined, { signal });
  const first = await listAll(client, count);
  const again = await listAll(client, count);
  log(`listed in ${secondsOf(first).toFixed(1)} s, and again in ${secondsOf(again).toFixed(1)} s`);
  await sleep(besideMs + 1_000, undefined, { signal });
  const marks = await driver.do("steady-marks", null);
  const pauses = await probe.pauses();
  const before = [first[0] - besideMs, first[0]] as const;
  const after = [again[1], again[1] + besideMs] as const;
  const rate = (...times: readonly (readonly [number, number])[]) =>
    median(times.flatMap((time) => ratesIn(marks, time)));
  const beside = rate(before, after);
  const figures: Figure[] = [
    {
      id: `list/pause-${count}`,
      label: "pause during both lists",
      value: longestPause(pauses, [first, again]),
      unit: "ms",
    },
    {
      id: "list/pause-beside",
      label: "pause before or after",
      value: longestPause(pauses, [before, after]),
      unit: "ms",
    },
    {
      id: "list/share-first",
      label: "locks during the first list, by those beside",
      value: rate(first) / beside,
      unit: "",
    },
    {
      id: "list/share-again",
      label: "locks during the second",
      value: rate(again) / beside,
      unit: "",
    },
    { id: "list/first", label: `first list of ${count} locks`, value: secondsOf(first), unit: "s" },
    { id: "list/again", label: "second", value: secondsOf(again), unit: "s" },
  ];
  return { rows: [], figures };
}

/** @returns when it began and ended @throws Error when locks are missing */
async function listAll(client: MetaClient, least: number): Promise<readonly [number, number]> {
  const beganUnixMs = Date.now();
  let seen = 0;
  for await (const { holderCount } of client.locks.list()) {
    seen += holderCount > 0 ? 1 : 0;
  }
  if (seen < least) {
    throw new Error(`${seen} locks were listed instead of ${least}`);
  }
  return [beganUnixMs, Date.now()];
}

/** How many locks were taken a second, in each window of a time. */
function ratesIn(marks: readonly Mark[], [from, to]: readonly [number, number]): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / windowMs) }, (_, n) => {
    return rateBetween(marks, from + n * windowMs, from + (n + 1) * windowMs);
  });
}

function secondsOf([from, to]: readonly [number, number]): number {
  return (to - from) / 1000;
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Figure } from "../measure/figure.js";
import { longestPause } from "../measure/longest-pause.js";
import { median } from "../measure/statistics.js";
import { FilledStore } from "../servers/filled-store.js";
import { LoopProbe } from "../servers/loop-probe-client.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const locks = 1_000_000;
const families = 100;
const scrapes = 50;
const everyMs = 400;

/** What it costs to read the page of metrics while many locks are held. */
export const scrape: Workload = {
  id: "scrape",
  title: "While metrics are read with 1,000,000 locks held",
  method:
    `A server holds the locks, in ${families} families, and does nothing else. Its page is read ${scrapes} times, every ` +
    `${everyMs} ms, and each time must count all locks. A scrape lasts until the whole page is there. Compared is the time of ` +
    "the scrapes with as long a time before them.",
  quick: false,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  const count = scaled(locks, plan);
  await using probe = await LoopProbe.create();
  await using store = await FilledStore.start(count, probe.env, families);
  log(`${count} locks are held`);
  const lastMs = scrapes * everyMs;
  // What was allocated while the locks were taken is collected meanwhile.
  await sleep(lastMs, undefined, { signal });
  const beforeMs = Date.now();
  await sleep(lastMs, undefined, { signal });
  const times: number[] = [];
  const windows: (readonly [number, number])[] = [];
  let bytes = 0;
  for (let round = 0; round < scrapes; round++) {
    const [beganUnixMs, beganMs] = [Date.now(), performance.now()];
    const page = await (await fetch(`${store.server.url}/metrics`, { signal })).text();
    times.push(performance.now() - beganMs);
    windows.push([beganUnixMs, Date.now()]);
    bytes = page.length;
    checkPage(page, count);
    await sleep(everyMs, undefined, { signal });
  }
  const pauses = await probe.pauses();
  const slowest = Math.max(...times);
  log(`scraped ${scrapes} times, the slowest in ${slowest.toFixed(1)} ms`);
  const figures: Figure[] = [
    { id: `scrape/slowest-${count}`, label: "slowest scrape", value: slowest, unit: "ms", note: `of ${scrapes}` },
    { id: "scrape/median", label: "median", value: median(times), unit: "ms" },
    { id: `scrape/pause-${count}`, label: "pause during scrapes", value: longestPause(pauses, windows), unit: "ms" },
    {
      id: "scrape/pause-beside",
      label: "pause before",
      value: longestPause(pauses, [[beforeMs, beforeMs + lastMs]]),
      unit: "ms",
    },
    { id: "scrape/page", label: "page", value: bytes, unit: "bytes" },
  ];
  return { rows: [], figures };
}

/** @throws Error when the page does not count all locks that are held */
function checkPage(page: string, count: number): void {
  const held = [...page.matchAll(/^metasrv_locks_held\{[^}]*\} (\d+)$/gm)].map(([, value]) => Number(value));
  const sum = held.reduce((all, value) => all + value, 0);
  if (sum !== count || held.length < families) {
    throw new Error(`the page counts ${sum} held locks in ${held.length} families instead of ${count} in ${families}`);
  }
}

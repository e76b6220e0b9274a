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
    `${everyMs} ms, and each time must count all locks, after as many times that are not counted: only then is what was ` +
    "allocated last for the locks old for V8. A scrape lasts until the whole page is there. Compared is the time of " +
    "the scrapes with as long a time before all of them.",
  quick: false,
  run,
};

async function run({ plan, signal, log }: Context): Promise<Outcome> {
  const count = scaled(locks, plan);
  await using probe = await LoopProbe.create();
  await using store = await FilledStore.start(count, probe.env, families);
  log(`${count} locks are held`);
  const lastMs = scrapes * everyMs;
  const beforeMs = Date.now();
  await sleep(lastMs, undefined, { signal });
  const read = async (): Promise<Scrape> => {
    const [beganUnixMs, beganMs] = [Date.now(), performance.now()];
    const page = await (await fetch(`${store.server.url}/metrics`, { signal })).text();
    const tookMs = performance.now() - beganMs;
    const window = [beganUnixMs, Date.now()] as const;
    checkPage(page, count);
    await sleep(everyMs, undefined, { signal });
    return { tookMs, window, bytes: page.length };
  };
  for (let round = 0; round < scrapes; round++) {
    await read();
  }
  const all: Scrape[] = [];
  for (let round = 0; round < scrapes; round++) {
    all.push(await read());
  }
  const times = all.map(({ tookMs }) => tookMs);
  const windows = all.map(({ window }) => window);
  const bytes = all.at(-1)?.bytes ?? 0;
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

interface Scrape {
  readonly tookMs: number;
  /** When it began and ended, on the clock of `Date.now()`. */
  readonly window: readonly [number, number];
  readonly bytes: number;
}

/** @throws Error when the page does not count all locks that are held */
function checkPage(page: string, count: number): void {
  const held = [...page.matchAll(/^metasrv_locks_held\{[^}]*\} (\d+)$/gm)].map(([, value]) => Number(value));
  const sum = held.reduce((all, value) => all + value, 0);
  if (sum !== count || held.length < families) {
    throw new Error(`the page counts ${sum} held locks in ${held.length} families instead of ${count} in ${families}`);
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { type Etcd, HeapProbe, type Metasrv } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import type { Figure } from "../measure/figure.js";
import { longestPause } from "../measure/longest-pause.js";
import { cpuSeconds, residentBytes } from "../measure/process-usage.js";
import { rateBetween } from "../measure/rate.js";
import type { Row } from "../measure/sample.js";
import { quantile } from "../measure/statistics.js";
import { startBenchEtcd } from "../servers/etcd.js";
import { LoopProbe } from "../servers/loop-probe-client.js";
import { startBenchMetasrv } from "../servers/metasrv.js";
import { contest, type Entry } from "./contest.js";
import type { Context, Outcome, Workload } from "./workload.js";

const inFlight = 64;
const kept = 100;
const prefix = "steady/";
// A lock is a change when it is taken, and another when it is released.
const changes = 10_000;
// Longer than a watch waits before it tells of changes.
const paced = { perSecond: changes / 2, holdMs: 150 } as const;
const pacedInFlight = 1_500;
const settleMs = 1_000;

/** What requesters and the server notice of a watch. */
export const watch: Workload = {
  id: "watch",
  title: "While all locks under a prefix are watched",
  method:
    `${kept} locks of the prefix are held, while others are taken and released, no faster than ${paced.perSecond} a second, ` +
    `each held for ${paced.holdMs} ms, which are ${changes} changes of locks that were never there before: first at a server ` +
    "that was never watched, then with a watch that is read, and another whose reader " +
    "reads nothing after the first message. A watch tells of at most 250 locks ten times a second, and begins anew when it " +
    "has 10,000 to tell of. Meanwhile the watching client takes a lock of the prefix and measures how long it takes until " +
    "the watch tells of it. Memory is that in use after a garbage collection. At the end, the watch must know of no other " +
    "locks than those that are held. Then free locks are taken and released as fast as they can be had, " +
    `${inFlight} in flight, in alternating rounds at this server, watched, and at another that never was.`,
  quick: false,
  run,
};

type Window = readonly [number, number];

async function run(context: Context): Promise<Outcome> {
  const { plan, signal, log } = context;
  await using etcd = await startBenchEtcd();
  await using heap = await HeapProbe.create();
  await using loop = await LoopProbe.create();
  const nodeOptions = `${heap.env.NODE_OPTIONS ?? ""} ${loop.env.NODE_OPTIONS ?? ""}`;
  const env = { ...heap.env, ...loop.env, NODE_OPTIONS: nodeOptions };
  await using server = await startBenchMetasrv({ store: etcd.endpoint, env, prefix: "watched" });
  await using lockers = await DriverProcess.start();
  await using watcher = await DriverProcess.start();
  const windowOf = async (ms: number): Promise<Window> => {
    const fromUnixMs = Date.now();
    await sleep(ms, undefined, { signal });
    return [fromUnixMs, fromUnixMs + ms];
  };
  await watcher.do("watch-open", { url: server.url, prefix, kept });
  await lockers.do("steady-load", { url: server.url, inFlight });
  await sleep(plan.warmUpMs * Math.min(plan.warmUpSteps, 4), undefined, { signal });

  const pacedMs = plan.quick ? 3_000 : 10_000;
  await lockers.do("steady-pace", { pace: paced, inFlight: pacedInFlight });
  await sleep(2 * settleMs);
  const before = await memoryOf(server, heap);
  await sleep(settleMs);
  const alone = await measured(server, () => windowOf(pacedMs));
  await watcher.do("watch-begin", { unread: 1 });
  await sleep(settleMs);
  const toldBefore = await watcher.do("watch-told", null);
  const beside = await measured(server, () => windowOf(pacedMs));
  const told = await watcher.do("watch-told", null);
  const during = await memoryOf(server, heap);
  const lagsMs = await watcher.do("watch-lags", { samples: plan.quick ? 5 : 20 });
  await sleep(pacedMs, undefined, { signal });
  const later = await memoryOf(server, heap);
  log(`the watch has told ${told.changes} changes`);

  const marks = await lockers.do("steady-marks", null);
  await lockers.do("steady-end", null);
  const endedMs = performance.now();
  await watcher.do("watch-kept-only", null);
  const caughtUpMs = performance.now() - endedMs;
  await watcher.do("watch-end", null);
  await sleep(settleMs);
  const after = await memoryOf(server, heap);
  const pauses = await loop.pauses();

  const rate = (window: Window): number => rateBetween(marks, ...window);
  const seconds = pacedMs / 1000;
  const memory = (when: string, label: string, { used, resident }: Memory): Figure => ({
    id: `watch/memory-${when}`,
    label: `memory of the server ${label}`,
    value: used / 1024 ** 2,
    unit: "MiB",
    note: `${(resident / 1024 ** 2).toFixed(0)} MiB resident`,
  });
  const figures: Figure[] = [
    { id: "watch/changes", label: "paced: changes with a watch", value: 2 * rate(beside.window), unit: "1/s" },
    { id: "watch/told", label: "changes told", value: (told.changes - toldBefore.changes) / seconds, unit: "1/s" },
    { id: "watch/messages", label: "messages", value: (told.messages - toldBefore.messages) / seconds, unit: "1/s" },
    {
      id: "watch/pause",
      label: "longest pause with a watch",
      value: longestPause(pauses, [beside.window]),
      unit: "ms",
    },
    {
      id: "watch/pause-without",
      label: "longest pause without",
      value: longestPause(pauses, [alone.window]),
      unit: "ms",
    },
    { id: "watch/cpu", label: "CPU of the server with a watch", value: beside.cpuShare * 100, unit: "% of a core" },
    { id: "watch/cpu-without", label: "CPU without", value: alone.cpuShare * 100, unit: "% of a core" },
    memory("before", "before", before),
    memory("during", "with a watch, and one that nobody reads", during),
    memory("later", `some ${(2 * pacedMs) / 1000} s later`, later),
    memory("after", "after", after),
    { id: "watch/growth", label: "its growth", value: (later.used - before.used) / 1024 ** 2, unit: "MiB" },
    { id: "watch/lag-p50", label: "until a change is told, p50", value: quantile(lagsMs, 0.5), unit: "ms" },
    { id: "watch/lag-max", label: "until a change is told, slowest", value: quantile(lagsMs, 1), unit: "ms" },
    { id: "watch/caught-up", label: "until all is told, after the last change", value: caughtUpMs, unit: "ms" },
  ];
  return { rows: await fastest(etcd, server, context), figures };
}

/**
 * As fast as locks can be had, at a server that is watched and at one that never was: the names of locks are kept in order
 * for a while after a watch has ended.
 */
async function fastest(etcd: Etcd, watched: Metasrv, context: Context): Promise<readonly Row[]> {
  // Not asked, but what it does is not to make a difference.
  await using loop = await LoopProbe.create();
  await using unwatched = await startBenchMetasrv({ store: etcd.endpoint, prefix: "unwatched", env: loop.env });
  await using watcher = await DriverProcess.start();
  await watcher.do("watch-open", { url: watched.url, prefix: "free/", kept });
  await watcher.do("watch-begin", { unread: 0 });
  const entries = Object.entries({ watched, unwatched }).map(([workload, { url, pid }]): Entry => ({
    workload,
    contender: "metasrv",
    seat: { load: { kind: "metasrv", urls: [url] }, pids: { server: [pid], store: [etcd.pid] } },
    inFlight,
    clients: 1,
    names: "free",
  }));
  const rows = await contest(entries, context);
  await watcher.do("watch-kept-only", null);
  await watcher.do("watch-end", null);
  return rows;
}

interface Memory {
  readonly used: number;
  readonly resident: number;
}

async function memoryOf({ pid }: Metasrv, heap: HeapProbe): Promise<Memory> {
  return { used: await heap.bytesInUse(), resident: residentBytes(pid) };
}

async function measured(
  { pid }: Metasrv,
  during: () => Promise<Window>,
): Promise<{ readonly window: Window; readonly cpuShare: number }> {
  const used = cpuSeconds([pid]);
  const startedMs = performance.now();
  const window = await during();
  return { window, cpuShare: (cpuSeconds([pid]) - used) / ((performance.now() - startedMs) / 1000) };
}

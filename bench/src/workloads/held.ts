import { FilledStore } from "../servers/filled-store.js";
import { contest, type Entry } from "./contest.js";
import { type Context, type Outcome, scaled, type Workload } from "./workload.js";

const counts = [1_000, 100_000, 1_000_000];

/** Throughput while different numbers of locks are held. */
export const held: Workload = {
  id: "held",
  title: "Free locks, 64 in flight, by number of locks held",
  method:
    "Three servers, each over an etcd of its own, hold 1,000, 100,000 and 1,000,000 locks and are measured in " +
    "alternating rounds.",
  quick: false,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { plan, log } = context;
  const all: { readonly count: number; readonly store: FilledStore }[] = [];
  try {
    for (const count of new Set((plan.quick ? counts.slice(0, 2) : counts).map((count) => scaled(count, plan)))) {
      context.signal.throwIfAborted();
      const startedMs = performance.now();
      all.push({ count, store: await FilledStore.start(count) });
      log(`${count} locks are held, taken in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    }
    const entries = all.map(({ count, store: { etcd, server } }): Entry => ({
      workload: `held-${count}`,
      contender: "metasrv",
      seat: { load: { kind: "metasrv", urls: [server.url] }, pids: { server: [server.pid], store: [etcd.pid] } },
      inFlight: 64,
      clients: 1,
      names: "free",
    }));
    return { rows: await contest(entries, context), figures: [] };
  } finally {
    for (const { store } of all) {
      await store[Symbol.asyncDispose]();
    }
  }
}

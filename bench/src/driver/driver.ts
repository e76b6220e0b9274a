// The load generator's process. It does the jobs that its parent sends, one after the other.
import { CycleRunner } from "./cycle-runner.js";
import { GrantTimer } from "./grant-timer.js";
import { holdLocks } from "./hold-locks.js";
import type { JobArgument, JobName, JobRequest, JobResult } from "./jobs.js";
import { KeptLocks } from "./kept-locks.js";
import { LockWatches } from "./lock-watches.js";
import { MixedLoad } from "./mixed-load.js";
import { Rush } from "./rush.js";
import { runShortClients } from "./short-clients.js";
import { SteadyLoad } from "./steady-load.js";
import { Tries } from "./tries.js";

const cycles = new CycleRunner();
const kept = new KeptLocks();
const grants = new GrantTimer();
const mixed = new MixedLoad();
const rush = new Rush();
const steady = new SteadyLoad();
const tries = new Tries();
const watches = new LockWatches();

const jobs: { readonly [Name in JobName]: (argument: JobArgument<Name>) => Promise<JobResult<Name>> } = {
  open: ({ spec, clients }) => cycles.open(spec, clients),
  cycles: (job) => cycles.run(job),
  check: (job) => cycles.check(job),
  "keep-alive": ({ url, count, ttlMs }) => kept.take(url, count, ttlMs),
  "count-renewals": ({ durationMs }) => kept.countRenewals(durationMs),
  hold: ({ url, count, ttlSeconds, families }) => holdLocks(url, count, ttlSeconds, families),
  queue: ({ url, lock, waiters }) => grants.queue(url, lock, waiters),
  grants: ({ lock, samples }) => grants.measure(lock, samples),
  "rush-open": ({ url, lock, clients }) => rush.open(url, lock, clients),
  rush: ({ requests }) => rush.start(requests),
  "rush-end": () => rush.end(),
  "short-clients": ({ url, count }) => runShortClients(url, count),
  try: ({ url, lock, everyMs }) => {
    tries.start(url, lock, everyMs);
    return Promise.resolve();
  },
  "try-end": () => tries.end(),
  "steady-load": ({ url, inFlight }) => {
    steady.start(url, inFlight);
    return Promise.resolve();
  },
  "steady-marks": () => Promise.resolve(steady.marks),
  "steady-pace": ({ pace, inFlight }) => {
    steady.pace(pace, inFlight);
    return Promise.resolve();
  },
  "steady-end": () => steady.end(),
  "watch-open": ({ url, prefix, kept: count }) => watches.open(url, prefix, count),
  "watch-begin": ({ unread }) => watches.begin(unread),
  "watch-lags": ({ samples }) => watches.lags(samples),
  "watch-told": () => Promise.resolve(watches.told()),
  "watch-kept-only": () => watches.untilKeptOnly(),
  "watch-end": () => watches.end(),
  mixed: ({ url }) => mixed.start(url),
  "mixed-state": () => Promise.resolve(mixed.state()),
};

async function perform<Name extends JobName>({ name, argument }: JobRequest<Name>): Promise<void> {
  try {
    process.send?.({ result: await jobs[name](argument) });
  } catch (error) {
    process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

process.on("message", (request: JobRequest) => {
  void perform(request);
});
process.on("disconnect", () => {
  process.exit();
});
// An interrupt from the terminal goes to the whole process group. The parent ends this process when it needs it no
// more.
process.on("SIGINT", () => undefined);

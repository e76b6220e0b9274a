import { setTimeout as sleep } from "node:timers/promises";
import { DriverProcess } from "../driver/driver-process.js";
import type { CyclesJob } from "../driver/jobs.js";
import { runH2load } from "../floors/h2load.js";
import { cpuSeconds } from "../measure/process-usage.js";
import { type Part, type Row, type Sample, summarize } from "../measure/sample.js";
import type { Seat } from "../peers/contenders.js";
import type { Context } from "./workload.js";

/** A contender in a contest. */
export interface Entry {
  readonly workload: string;
  readonly contender: string;
  readonly seat: Seat;
  readonly inFlight: number;
  /** How many clients, each with a connection of its own, the callers are spread over. */
  readonly clients: number;
  readonly names: CyclesJob["names"];
}

type Measure = (durationMs: number) => Promise<Sample>;

interface Lane {
  readonly entry: Entry;
  readonly measure: Measure;
  /** Throws if what was measured was wrong. */
  readonly check: () => Promise<void>;
}

// Code is compiled sooner if it runs more often. So free locks are warmed up with at least this many in flight.
const warmUpInFlight = 64;
// A step of warming up counts as faster if it is faster by this factor.
const gain = 1.02;
const pauseMs = 100;
// A contender that was idle during others' turns is slow for a moment. This much of each turn is not counted.
const leadInMs = 500;
// Long enough that holders meet, and so often that all may.
const checkJob = { durationMs: 1_000, holdMs: 20 } as const;

/**
 * Measures all entries in alternating rounds, there and back again, so that neither a drift of the machine's speed nor
 * their order favours one of them.
 */
export async function contest(entries: readonly Entry[], context: Context): Promise<Row[]> {
  const { rounds, roundMs } = context.plan;
  await using drivers = new Drivers();
  const lanes: (Lane & { readonly samples: Sample[] })[] = [];
  for (const entry of entries) {
    lanes.push({ ...(await prepare(entry, drivers, context)), samples: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { measure, samples } of round % 2 === 0 ? lanes : lanes.toReversed()) {
      context.signal.throwIfAborted();
      samples.push(await measure(roundMs));
      await sleep(pauseMs);
    }
  }
  for (const { check } of lanes) {
    await check();
  }
  return lanes.map(({ entry, samples }) => summarize(entry.workload, entry.contender, samples));
}

/** The load generators of a contest. */
class Drivers implements AsyncDisposable {
  readonly #drivers: DriverProcess[] = [];

  async start(): Promise<DriverProcess> {
    const driver = await DriverProcess.start();
    this.#drivers.push(driver);
    return driver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#drivers.map((driver) => driver[Symbol.asyncDispose]()));
  }
}

async function prepare(entry: Entry, drivers: Drivers, { plan, log }: Context): Promise<Lane> {
  const { inFlight, clients, names, seat } = entry;
  const { load, pids } = seat;
  if (load.kind === "h2load") {
    const measure: Measure = (durationMs) => withCpu(pids, () => runH2load(load.address, inFlight, durationMs));
    return { entry, measure, check: () => Promise.resolve() };
  }
  const driver = await drivers.start();
  await driver.do("open", { spec: load, clients });
  const warmUpJob = {
    inFlight: names === "free" ? Math.max(inFlight, warmUpInFlight) : inFlight,
    durationMs: plan.warmUpMs,
    names,
  };
  await warmUp(plan.warmUpSteps, async () => {
    const { cycles, seconds } = await driver.do("cycles", warmUpJob);
    return cycles / seconds;
  });
  const measure: Measure = async (durationMs) => {
    await driver.do("cycles", { inFlight, durationMs: leadInMs, names });
    return withCpu({ ...pids, client: [driver.pid] }, async () => {
      const done = await driver.do("cycles", { inFlight, durationMs, names });
      if (done.cycles === 0) {
        throw new Error(`${entry.contender} did nothing: ${done.failure ?? "no cycle ended"}`);
      }
      const { cycles, handovers, leastShare, failed, seconds, p50Ms, p99Ms } = done;
      const fairness = { ...(names === "hot" && { handovers }), ...(names === "asked" && { leastShare }) };
      return { cycles, failed, seconds, p50Ms, p99Ms, cpuSeconds: {}, ...fairness };
    });
  };
  const check = async (): Promise<void> => {
    if (names === "asked") {
      const peak = await driver.do("check", { inFlight, ...checkJob });
      log(`${entry.contender}: at most ${peak} at a time, and all was given back`);
    }
  };
  return { entry, measure, check };
}

/** Runs steps until two in a row were not faster than the fastest one before them. */
async function warmUp(most: number, step: () => Promise<number>): Promise<void> {
  let fastest = 0;
  let stale = 0;
  for (let taken = 0; taken < most && stale < 2; taken++) {
    const rate = await step();
    stale = rate > fastest * gain ? 0 : stale + 1;
    fastest = Math.max(fastest, rate);
  }
}

/** Adds the CPU time that processes used while something ran. */
async function withCpu(
  pids: Readonly<Partial<Record<Part, readonly number[]>>>,
  measure: () => Promise<Sample>,
): Promise<Sample> {
  const counted = Object.entries(pids);
  const before = counted.map(([, processes]) => cpuSeconds(processes));
  const sample = await measure();
  const used = counted.map(([part, processes], index) => [part, cpuSeconds(processes) - (before[index] ?? 0)] as const);
  return { ...sample, cpuSeconds: { ...sample.cpuSeconds, ...Object.fromEntries(used) } };
}

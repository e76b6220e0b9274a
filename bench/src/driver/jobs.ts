import type { LatencySummary } from "../measure/latency.js";
import type { Mark } from "../measure/rate.js";
import type { ClientSpec } from "../peers/lock-client.js";
import type { ShortClientsDone } from "./short-clients.js";
import type { Pace } from "./steady-load.js";

/** Runs lock+unlock cycles for a while, as many at a time as there are callers. */
export interface CyclesJob {
  /** Callers at work at the same time. They are spread over the open clients. */
  readonly inFlight: number;
  /** How long cycles are started. Those that are under way at the end are finished, and count. */
  readonly durationMs: number;
  /** `free`: every cycle takes a lock of its own; `hot`: all take the same; `asked`: the client knows what to ask for. */
  readonly names: "free" | "hot" | "asked";
  /** How long each cycle holds, where names are `asked`; absent: as shortly as it can. */
  readonly holdMs?: number;
}

/** Runs cycles in which what is asked for is held for a while, to see how many hold at a time. */
export interface CheckJob {
  readonly inFlight: number;
  readonly durationMs: number;
  readonly holdMs: number;
}

/** The result of a {@link CyclesJob}. */
export interface CyclesDone extends LatencySummary {
  readonly cycles: number;
  /** Cycles that ended after a cycle of another caller. On a hot lock, this is how often it changed hands. */
  readonly handovers: number;
  /** The cycles of the caller that had the fewest, divided by those of the average caller. */
  readonly leastShare: number;
  readonly failed: number;
  /** The message of the first failure. */
  readonly failure: string | undefined;
  /** From the first start to the last end. */
  readonly seconds: number;
}

/** Latencies of grants after an unlock. */
export interface GrantsDone extends LatencySummary {
  readonly samplesMs: readonly number[];
}

/** The result of tries for a lock. */
export interface TriesDone {
  readonly latenciesMs: readonly number[];
  readonly granted: number;
  /** The message of the first failure. */
  readonly failure: string | undefined;
}

/** What a watch has told since it began. */
export interface Watched {
  readonly messages: number;
  /** Locks that were there, or had changed, and locks that had gone. */
  readonly changes: number;
}

/** What a mixed load has done so far. */
export interface MixedState {
  readonly done: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  /** After a garbage collection. */
  readonly heapBytes: number;
}

/** What the load generator's process can be told to do. */
export interface Jobs {
  /** Opens clients, each with connections of its own. */
  open: (argument: { readonly spec: ClientSpec; readonly clients: number }) => void;
  cycles: (job: CyclesJob) => CyclesDone;
  /** Tells the most holders at a time; fails when too few or too many hold, or something is not given back. */
  check: (job: CheckJob) => number;

  /** Takes locks and keeps them alive until the process ends. */
  "keep-alive": (argument: { readonly url: string; readonly count: number; readonly ttlMs: number }) => void;
  /** Counts, for a while, the renewals of the locks kept alive. */
  "count-renewals": (argument: { readonly durationMs: number }) => { readonly renewals: number; readonly lost: number };

  /** Takes locks that nobody renews or releases. */
  hold: (argument: {
    readonly url: string;
    readonly count: number;
    readonly ttlSeconds: number;
    readonly families?: number;
  }) => void;

  /** Takes a lock and lets others wait for it until the process ends. */
  queue: (argument: { readonly url: string; readonly lock: string; readonly waiters: number }) => void;
  /** Measures the time from the call of a release to the next waiter's grant. The queue keeps its length. */
  grants: (argument: { readonly lock: string; readonly samples: number }) => GrantsDone;

  /** Takes a lock, and opens clients for the requests that follow. */
  "rush-open": (argument: { readonly url: string; readonly lock: string; readonly clients: number }) => void;
  /** Asks for the lock this many times at once, over all clients; ends when all requests wait. */
  rush: (argument: { readonly requests: number }) => void;
  /** Cancels what waits. */
  "rush-end": (argument: null) => void;

  /** Takes one lock by a client of its own, and by two calls over a connection of their own, so many times in turns. */
  "short-clients": (argument: { readonly url: string; readonly count: number }) => ShortClientsDone;

  /** Starts to try for a lock, at equal intervals. */
  try: (argument: { readonly url: string; readonly lock: string; readonly everyMs: number }) => void;
  /** Ends the tries, and tells how long each answer took. */
  "try-end": (argument: null) => TriesDone;

  /** Runs cycles of lock and unlock, and counts them as time goes by. */
  "steady-load": (argument: { readonly url: string; readonly inFlight: number }) => void;
  /** How many cycles there have been, from the start on. */
  "steady-marks": (argument: null) => readonly Mark[];
  /** From now on, begins no more cycles a second than the pace says, with at least so many in flight. */
  "steady-pace": (argument: { readonly pace: Pace; readonly inFlight: number }) => void;
  /** Begins no more cycles; ends when the last lock is released. */
  "steady-end": (argument: null) => void;

  /** Takes locks under a prefix that is to be watched. They stay held. */
  "watch-open": (argument: { readonly url: string; readonly prefix: string; readonly kept: number }) => void;
  /** Watches the prefix, and beside that so many times more without reading; ends when all locks are told. */
  "watch-begin": (argument: { readonly unread: number }) => void;
  /** How long it took until the watch told that a lock is held, in milliseconds. */
  "watch-lags": (argument: { readonly samples: number }) => readonly number[];
  "watch-told": (argument: null) => Watched;
  /** Fails unless the watch tells in the end that only those locks are held that were taken first. */
  "watch-kept-only": (argument: null) => void;
  "watch-end": (argument: null) => void;

  /** Starts a load of all sorts, until the process ends. */
  mixed: (argument: { readonly url: string }) => void;
  "mixed-state": (argument: null) => MixedState;
}

/** A job's name. */
export type JobName = keyof Jobs;

/** What a job is told. */
export type JobArgument<Name extends JobName> = Parameters<Jobs[Name]>[0];

/** What a job answers. */
export type JobResult<Name extends JobName> = ReturnType<Jobs[Name]>;

/** To the load generator. */
export interface JobRequest<Name extends JobName = JobName> {
  readonly name: Name;
  readonly argument: JobArgument<Name>;
}

/** From the load generator. */
export type JobResponse = { readonly result: unknown } | { readonly error: string };

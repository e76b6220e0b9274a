import { median } from "./statistics.js";

/** The parts that a figure's CPU time is split into. Followers are nodes that do not serve the counted locks. */
export const parts = ["client", "server", "follower", "store"] as const;

/** One of {@link parts}. */
export type Part = (typeof parts)[number];

/** What one contender did in one round. */
export interface Sample {
  /** Lock+unlock cycles that succeeded. */
  readonly cycles: number;
  /** How often a hot lock changed hands; undefined where there is none. */
  readonly handovers?: number;
  /** The cycles of the caller that had the fewest by those of the average one; undefined where it does not matter. */
  readonly leastShare?: number;
  /** Cycles that failed. */
  readonly failed: number;
  readonly seconds: number;
  /** Undefined if the load generator does not tell it. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** CPU seconds by part; a part that the contender does not have is absent. */
  readonly cpuSeconds: Readonly<Partial<Record<Part, number>>>;
}

/** One contender in one workload: its rounds and their medians. */
export interface Row {
  readonly workload: string;
  readonly contender: string;
  /** Lock+unlock cycles a second. */
  readonly perSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** CPU microseconds a cycle, by part. */
  readonly cpuUs: Readonly<Partial<Record<Part, number>>>;
  readonly failed: number;
  /** The part of the cycles on a hot lock in which another client had the lock than in the cycle before. */
  readonly handoverShare?: number;
  /** As that of a {@link Sample}. */
  readonly leastShare?: number;
  readonly samples: readonly Sample[];
  /** Set when there were pauses between cycles, so that their rate means nothing. */
  readonly paced?: boolean;
}

/** Computes the medians of a contender's rounds. */
export function summarize(workload: string, contender: string, samples: readonly Sample[]): Row {
  const middle = (value: (sample: Sample) => number | undefined): number | undefined => {
    const known = samples.map(value).filter((x) => x !== undefined);
    return known.length === 0 ? undefined : median(known);
  };
  const cpuUs: Partial<Record<Part, number>> = {};
  for (const part of parts) {
    const us = middle(({ cpuSeconds, cycles }) => {
      const seconds = cpuSeconds[part];
      return seconds === undefined || cycles === 0 ? undefined : (seconds * 1e6) / cycles;
    });
    if (us !== undefined) {
      cpuUs[part] = us;
    }
  }
  const handoverShare = middle(({ handovers, cycles }) => handovers && handovers / cycles);
  const leastShare = middle((sample) => sample.leastShare);
  return {
    workload,
    contender,
    perSecond: median(samples.map(perSecond)),
    p50Ms: middle((sample) => sample.p50Ms),
    p99Ms: middle((sample) => sample.p99Ms),
    cpuUs,
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
    ...(handoverShare !== undefined && { handoverShare }),
    ...(leastShare !== undefined && { leastShare }),
    samples,
  };
}

/** Throughput of a round. */
export function perSecond({ cycles, seconds }: Sample): number {
  return cycles / seconds;
}

/** The median of a ratio that is taken within each round, so that a drift of the machine's speed does not count. */
export function pairedRatio(a: Row, b: Row, value: (sample: Sample) => number | undefined): number | undefined {
  const ratios = a.samples.flatMap((sample, round) => {
    const other = b.samples[round];
    const over = value(sample);
    const under = other && value(other);
    return over === undefined || under === undefined || under === 0 ? [] : [over / under];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

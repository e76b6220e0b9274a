import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** How long something took, over many times, in milliseconds. */
export interface LatencySummary {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Collects durations. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram();

  /** Adds the time from `sinceMs`, on the clock of `performance.now()`, until now. */
  recordSince(sinceMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - sinceMs) * 1e6)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  summary(): LatencySummary {
    const ms = (percentile: number): number => this.#histogram.percentile(percentile) / 1e6;
    return { p50Ms: ms(50), p99Ms: ms(99), maxMs: this.#histogram.max / 1e6 };
  }
}

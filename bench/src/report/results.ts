import type { Figure } from "../measure/figure.js";
import { pairedRatio, perSecond, type Row, type Sample } from "../measure/sample.js";
import type { Outcome } from "../workloads/workload.js";
import type { Machine } from "./machine.js";

/** What a workload found, and on what. */
export interface Measured extends Outcome {
  readonly machine: Machine;
}

/** What workloads have found, of one run or of several. */
export class Results {
  readonly #outcomes: Map<string, Measured>;

  /** @param outcomes - of earlier runs, by the ids of their workloads */
  constructor(outcomes: Iterable<readonly [string, Measured]> = []) {
    this.#outcomes = new Map(outcomes);
  }

  /** Adds what a workload, by its id, found, in place of what it found before. */
  add(workload: string, outcome: Measured): void {
    this.#outcomes.set(workload, outcome);
  }

  /** By the ids of the workloads. */
  get outcomes(): ReadonlyMap<string, Measured> {
    return this.#outcomes;
  }

  get rows(): readonly Row[] {
    return [...this.#outcomes.values()].flatMap(({ rows }) => rows);
  }

  get figures(): readonly Figure[] {
    return [...this.#outcomes.values()].flatMap(({ figures }) => figures);
  }

  row(workload: string, contender: string): Row | undefined {
    return this.rows.find((row) => row.workload === workload && row.contender === contender);
  }

  figure(id: string): number | undefined {
    return this.figures.find((figure) => figure.id === id)?.value;
  }

  /** The cycles a second of one contender, divided by those of another; undefined if either was not measured. */
  speedRatio(workload: string, contender: string, other: string): number | undefined {
    return ratio(this.row(workload, contender), this.row(workload, other), perSecond);
  }

  /** The median latency of one contender, divided by that of another. */
  p50Ratio(workload: string, contender: string, other: string): number | undefined {
    return ratio(this.row(workload, contender), this.row(workload, other), ({ p50Ms }) => p50Ms);
  }

  /** As {@link speedRatio}, but for one contender in two workloads whose rounds alternated. */
  speedRatioAcross(contender: string, workload: string, other: string): number | undefined {
    return ratio(this.row(workload, contender), this.row(other, contender), perSecond);
  }

  /** As {@link p50Ratio}, but for one contender in two workloads whose rounds alternated. */
  p50RatioAcross(contender: string, workload: string, other: string): number | undefined {
    return ratio(this.row(workload, contender), this.row(other, contender), ({ p50Ms }) => p50Ms);
  }
}

function ratio(
  a: Row | undefined,
  b: Row | undefined,
  value: (sample: Sample) => number | undefined,
): number | undefined {
  return a === undefined || b === undefined ? undefined : pairedRatio(a, b, value);
}

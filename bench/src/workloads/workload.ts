import type { Figure } from "../measure/figure.js";
import type { Row } from "../measure/sample.js";

/** How long and how often things are measured. */
export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  readonly roundMs: number;
  /** Each contender is warmed up in steps of this length, until it gets no faster or has had this many. */
  readonly warmUpMs: number;
  readonly warmUpSteps: number;
  /** The factor for numbers of a million tickets or locks: less than 1 to try a workload out. */
  readonly scale: number;
}

/** A number of tickets or locks of a plan. */
export function scaled(count: number, { scale }: Plan): number {
  return Math.max(1_000, Math.round(count * scale));
}

/** What a workload runs in. */
export interface Context {
  readonly plan: Plan;
  /** Aborts when the run is to end early. */
  readonly signal: AbortSignal;
  /** Tells people what happens. */
  readonly log: (text: string) => void;
}

/** What a workload found. */
export interface Outcome {
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
}

/** Something that is measured in one go. */
export interface Workload {
  /** The id that `--only` names it by. */
  readonly id: string;
  readonly title: string;
  /** What happens in it, for the report. */
  readonly method: string;
  /** Whether it is part of a `--quick` run. */
  readonly quick: boolean;
  readonly run: (context: Context) => Promise<Outcome>;
}

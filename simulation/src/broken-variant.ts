import type { Invariant } from "./invariants.js";
import type { Variant } from "./simulation.js";

/** Something that is wrong on purpose. */
export interface BrokenVariant {
  readonly create: () => Variant;
  /** The invariants that it breaks. Any of them may show first. */
  readonly breaks: readonly Invariant[];
  /** Within how many steps it must be found, over all seeds from 1 on. */
  readonly withinSteps: number;
}

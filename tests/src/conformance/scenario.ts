import type { Feature } from "./lock-backend.js";
import type { LockDriver } from "./lock-driver.js";

/** What a scenario works with. */
export interface ScenarioContext {
  readonly driver: LockDriver;
  /** A lock name that no other scenario uses; short, so that keys have little in common but it. */
  readonly name: () => Uint8Array;
  /** The shortest TTL that the backend allows and that is not below `leastMs`. */
  readonly ttlMs: (leastMs: number) => number;
  /** For the few lines of a scenario that not every backend can show; whole scenarios say what they need. */
  readonly has: (feature: Feature) => boolean;
}

/** One thing that every backend must do. It must leave no ticket behind; the suite checks. */
export interface Scenario {
  readonly title: string;
  readonly needs?: readonly Feature[];
  run(context: ScenarioContext): Promise<void>;
}

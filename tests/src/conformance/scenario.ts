import type { Feature } from "./lock-backend.js";
import type { LockDriver } from "./lock-driver.js";

/** What a scenario works with. */
export interface ScenarioContext {
  readonly driver: LockDriver;
  /** A lock name that no other scenario uses. It is short, so that keys of different locks differ in little else. */
  readonly name: () => Uint8Array;
  /** The shortest TTL that the backend allows and that is not below `leastMs`. */
  readonly ttlMs: (leastMs: number) => number;
  /** Used for the few lines of a scenario that not every backend can show. A whole scenario says what it needs. */
  readonly has: (feature: Feature) => boolean;
}

/** Something that every backend must do. A scenario must leave no ticket behind; the suite checks that for each subject. */
export interface Scenario {
  readonly title: string;
  readonly needs?: readonly Feature[];
  /** It does something to the node, or to etcd, that others would notice. */
  readonly alone?: boolean;
  run(context: ScenarioContext): Promise<void>;
}

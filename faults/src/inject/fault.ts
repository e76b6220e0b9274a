import type { Random } from "../random.js";
import type { Stage } from "../stage/stage.js";

/** What a fault has at hand. */
export interface Scene {
  readonly stage: Stage;
  readonly random: Random;
  /**
   * Lets the fault last.
   *
   * @throws the reason of the campaign's signal, when it is to end
   */
  readonly wait: (ms: number) => Promise<void>;
}

/** Something that goes wrong, and is repaired. */
export interface Fault {
  readonly kind: string;
  /** What happens, for people. */
  readonly title: string;
  /** Whether it can be done on this stage; absent: always. */
  possible?(stage: Stage): boolean;
  /** Does it and repairs it; resolves with what it was done to. */
  inject(scene: Scene): Promise<string>;
}

import type { Random } from "../random.js";
import type { Stage } from "../stage/stage.js";

/** What a fault can use. */
export interface Scene {
  readonly stage: Stage;
  readonly random: Random;
  /**
   * Lets the fault last for this time.
   *
   * @throws the reason of the campaign's signal, when the campaign must end
   */
  readonly wait: (ms: number) => Promise<void>;
}

/** Something that goes wrong, and is repaired. */
export interface Fault {
  readonly kind: string;
  /** What happens, for people. */
  readonly title: string;
  /** Whether the fault is possible on this stage; absent: always. */
  possible?(stage: Stage): boolean;
  /** Breaks something and repairs it; resolves with the name of what it broke. */
  inject(scene: Scene): Promise<string>;
}

import type { BackoffOptions, Clock } from "@metasrv/wire";

/** What a {@link Circuit} works with. */
export interface CircuitOptions {
  readonly clock: Clock;
  /** As `Math.random`. */
  readonly random: () => number;
  /** How long an endpoint that failed is not the first choice: the longer, the more often it fails in a row. */
  readonly coolDown: BackoffOptions;
}

/**
 * Remembers that an endpoint failed. It opens with a failure and closes by itself after the cool-down, which grows with
 * each failure that follows soon after, and has jitter, so that clients do not come back together.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #openUntilMs = -Infinity;
  #failures = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Until when it is open, on the clock; 0 when it is closed. */
  get openUntilMs(): number {
    return this.#openUntilMs > this.#options.clock.now() ? this.#openUntilMs : 0;
  }

  /** The endpoint failed. Calls that fail together count once. */
  open(): void {
    const { clock, random, coolDown } = this.#options;
    const nowMs = clock.now();
    if (this.#openUntilMs > nowMs) {
      return;
    }
    if (nowMs > this.#openUntilMs + coolDown.maxMs) {
      this.#failures = 0;
    }
    const longestMs = Math.min(coolDown.initialMs * 2 ** this.#failures++, coolDown.maxMs);
    this.#openUntilMs = nowMs + longestMs * (0.5 + random() / 2);
  }
}

import type { BackoffOptions, Clock } from "@metasrv/wire";

export interface CircuitOptions {
  readonly clock: Clock;
  /** As `Math.random`. */
  readonly random: () => number;
  /** How long an endpoint that failed is not the first choice. The time grows with failures in a row. */
  readonly coolDown: BackoffOptions;
}

/**
 * Remembers that an endpoint failed. It opens with a failure and closes by itself after the cool-down. The cool-down
 * grows with each failure that follows soon after the one before, and has jitter, so that clients do not come back
 * together.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #openUntilMs = -Infinity;
  #failures = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Until when it is open, on the clock; 0 while it is closed. */
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

/** The pauses between repeated attempts. */
export interface BackoffOptions {
  /** How long the first pause is at most, in milliseconds. */
  readonly initialMs: number;
  /** How long a pause is at most, in milliseconds. */
  readonly maxMs: number;
  /** From 0 up to, not including, 1. `Math.random` by default. */
  readonly random?: () => number;
}

/**
 * Pauses whose upper bound doubles from one to the next. Each pause is drawn from the upper half of what its bound
 * allows, so that clients that failed together come back one after the other, and none of them at once.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #boundMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#boundMs = options.initialMs;
  }

  /** The upper bound of the next pause, in milliseconds. */
  get boundMs(): number {
    return this.#boundMs;
  }

  /** The next pause, in milliseconds. */
  nextMs(): number {
    const { maxMs, random = Math.random } = this.#options;
    const boundMs = this.#boundMs;
    this.#boundMs = Math.min(2 * boundMs, maxMs);
    return boundMs * (0.5 + 0.5 * random());
  }

  /** Something succeeded: the next pause is as short as the first. */
  reset(): void {
    this.#boundMs = this.#options.initialMs;
  }
}

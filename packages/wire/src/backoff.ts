/** Pauses between repeated attempts. */
export interface BackoffOptions {
  /** How long the first pause is at most, in milliseconds. */
  readonly initialMs: number;
  /** How long a pause is at most, in milliseconds. */
  readonly maxMs: number;
  /** From 0 up to, not including, 1. `Math.random` by default. */
  readonly random?: () => number;
}

/**
 * Pauses whose bound doubles from one to the next. Each is drawn from the upper half below its bound, so that those which
 * failed together come back apart, and none at once.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #boundMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#boundMs = options.initialMs;
  }

  /** The pause that {@link nextMs} would draw from: at most so long, in milliseconds. */
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

  /** Something succeeded: begin with the shortest pause again. */
  reset(): void {
    this.#boundMs = this.#options.initialMs;
  }
}

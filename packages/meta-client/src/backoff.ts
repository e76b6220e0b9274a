import { ExponentialBackoff, type IBackoff } from "cockatiel";

/** Pauses between repeated attempts. */
export interface BackoffOptions {
  /** About how long the first pause is, in milliseconds. */
  readonly initialMs: number;
  /** How long a pause is at most, in milliseconds. */
  readonly maxMs: number;
}

/** Pauses that grow exponentially, with decorrelated jitter so that clients which failed together come back apart. */
export class Backoff {
  readonly #policy: ExponentialBackoff<[number, number]>;
  #last: IBackoff<unknown> | undefined;

  constructor(options: BackoffOptions) {
    this.#policy = new ExponentialBackoff({ initialDelay: options.initialMs, maxDelay: options.maxMs });
  }

  /** The next pause, in milliseconds. */
  nextMs(): number {
    this.#last = (this.#last ?? this.#policy).next(undefined);
    return this.#last.duration;
  }

  /** Something succeeded: begin with the shortest pause again. */
  reset(): void {
    this.#last = undefined;
  }
}

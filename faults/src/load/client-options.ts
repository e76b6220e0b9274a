/** What a client process is told when it is started, as JSON in its first argument. */
export interface LockClientOptions {
  /** Begins the names of its workers. */
  readonly name: string;
  readonly endpoints: readonly string[];
  /** How many workers, each with a client of its own. */
  readonly workers: number;
  readonly seed: number;
  /** Where the resource listens. */
  readonly resource: string;
  /** Where to write down what happens. */
  readonly journal: string;
}

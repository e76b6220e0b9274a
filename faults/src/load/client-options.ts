/** What a client process is told when it is started, as JSON in its first argument. */
export interface LockClientOptions {
  /** The beginning of its workers' names. */
  readonly name: string;
  readonly endpoints: readonly string[];
  /** How many workers, each with a client of its own. */
  readonly workers: number;
  readonly seed: number;
  /** Where the resource listens. */
  readonly resource: string;
  /** The file to write events into. */
  readonly journal: string;
}

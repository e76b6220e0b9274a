/** A write, one JSON object a line. */
export interface WriteRequest {
  readonly id: number;
  readonly ask: string;
  readonly lock: string;
  readonly token: string;
  readonly floor: string;
}

/** The answer to the write of the same id, one JSON object a line. */
export interface WriteAnswer {
  readonly id: number;
  readonly taken: boolean;
}

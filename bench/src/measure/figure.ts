/** A measured number other than the throughput of lock+unlock cycles. */
export interface Figure {
  /** The name that targets use for it, such as `kept-alive/server-cpu`. */
  readonly id: string;
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** What else there is to know, for people. */
  readonly note?: string;
}

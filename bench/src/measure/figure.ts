/** A measured number that is no throughput of lock+unlock cycles. */
export interface Figure {
  /** Name by which targets refer to it, such as `kept-alive/server-cpu`. */
  readonly id: string;
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** What else there is to know, for people. */
  readonly note?: string;
}

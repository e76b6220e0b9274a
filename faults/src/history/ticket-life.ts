/** One ticket as the store had it. Moments are when the store told of it, in microseconds: a little after the fact. */
export interface TicketLife {
  readonly lock: string;
  readonly id: string;
  /** The owner text: which ask it belongs to. */
  readonly ask: string;
  /** Its place in the log. */
  readonly token: bigint;
  readonly createdUs: number;
  /** The member that serves it now, or served it last. */
  memberId: string;
  goneUs?: number;
  /** The place in the log of what removed it, on the scale of tokens. */
  gonePlace?: bigint;
}

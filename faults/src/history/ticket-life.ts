/**
 * The life of one ticket in the log. Moments are when the watch told of it, in microseconds: a little after it
 * happened.
 */
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
  /** The place in the log of the command that removed it, as a number like a token. */
  gonePlace?: bigint;
}

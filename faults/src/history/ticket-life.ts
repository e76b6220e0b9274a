/** One ticket as the store had it. Moments are when the store told of it, in microseconds: a little after the fact. */
export interface TicketLife {
  readonly lock: string;
  readonly id: string;
  /** The owner text: which ask it belongs to. */
  readonly ask: string;
  /** Its create revision: the fencing token. */
  readonly token: bigint;
  readonly createdUs: number;
  /** The member that serves it now, or served it last. */
  memberId: string;
  goneUs?: number;
  goneRevision?: bigint;
}

/**
 * The life of one ticket in the log. Moments are when the watch told of it, in microseconds: a little after it
 * happened.
 */
export interface TicketLife {
  readonly lock: string;
  /** The other locks that it asks for at once, in the order of their names; absent: none. */
  readonly others?: readonly string[];
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
  /** Whether it came to hold all its locks. */
  held?: boolean;
  /** Whether it was removed by force. */
  forced?: boolean;
}

/** All locks that it asks for. */
export function locksOf({ lock, others = [] }: TicketLife): readonly string[] {
  return [lock, ...others];
}

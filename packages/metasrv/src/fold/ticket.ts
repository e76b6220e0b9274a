import type { TicketContent, TicketRef } from "../model/command.js";
import type { LockName } from "../model/lock-name.js";
import type { TicketId } from "../model/ticket-id.js";

/** Who on this node is told what becomes of a ticket. Must not change the table from within. */
export interface TicketFollower {
  /** The ticket holds its lock from now on, until it is removed. */
  granted(): void;
  /** The ticket is gone from the table. */
  removed(): void;
  /** Another member serves the ticket from now on. */
  moved(): void;
  /** The table was read anew, and this is the same ticket in it. */
  replaced(ticket: Ticket): void;
}

/** A ticket in its lock's queue. Read-only to everyone but the table, except for its follower. */
export class Ticket implements TicketRef {
  readonly name: LockName;
  readonly id: TicketId;
  /** Fencing token: its place in the log, and in the queue. */
  readonly token: bigint;
  content: TicketContent;
  /** The member that serves the requester: it alone tells of the grant and runs the clock. */
  memberId: string;
  /** How often its requester had asked for it before. */
  attempt: number;
  /** Whether it holds its lock; otherwise it waits. */
  holds = false;
  /** When this node saw it come and when it saw it hold, in milliseconds of {@link Fold.nowMs}: for people to read. */
  seenAtMs = 0;
  heldAtMs = 0;
  /** Whether it is in its table still. A table that was read anew has tickets of its own. */
  present = true;
  /** The number of the last snapshot that has it. */
  inSnapshot = 0;
  previous: Ticket | undefined = undefined;
  next: Ticket | undefined = undefined;
  follower: TicketFollower | undefined = undefined;

  constructor(ref: TicketRef, token: bigint, content: TicketContent, memberId: string, attempt: number) {
    this.name = ref.name;
    this.id = ref.id;
    this.token = token;
    this.content = content;
    this.memberId = memberId;
    this.attempt = attempt;
  }
}

import type { ForcedRecord, TicketContent, TicketRef } from "../model/command.js";
import type { LockName } from "../model/lock-name.js";
import type { TicketId } from "../model/ticket-id.js";

/** Who on this node is told what becomes of a ticket. Must not change the table from within. */
export interface TicketFollower {
  /** The ticket holds its lock from now on, until it is removed. */
  granted(): void;
  /** The ticket is gone from the table. @param forced - if it was removed by hand */
  removed(forced: ForcedRecord | undefined): void;
  /** Another member serves the ticket from now on. */
  moved(): void;
  /** The table was read anew, and this is the same ticket in it. */
  replaced(ticket: Ticket): void;
}

/** The tickets of several locks that were asked for at once. Each stands in its lock's queue, at the same place of the log. */
export interface TicketGroup {
  /** In the order of their names. The first is the one that the table finds, and that is followed. */
  readonly parts: readonly Ticket[];
  /** How many of them their queues do not admit. */
  waitsFor: number;
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
  /** Whether its queue admits it. */
  admitted = false;
  group: TicketGroup | undefined = undefined;
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

  /** Whether it holds its lock, and all others of its group; otherwise it waits. */
  get holds(): boolean {
    return this.group === undefined ? this.admitted : this.group.waitsFor === 0;
  }

  /** It, or the first of its group. */
  get main(): Ticket {
    return this.group?.parts[0] ?? this;
  }

  /** It, or all of its group. */
  get parts(): readonly Ticket[] {
    return this.group?.parts ?? [this];
  }
}

import type { ForcedRecord, Outcome } from "./command.js";
import type { TicketContent } from "./ticket-content.js";
import type { TicketRef } from "./ticket-ref.js";

/** A ticket in a snapshot. */
export interface SnapshotTicket extends TicketRef {
  readonly token: bigint;
  readonly content: TicketContent;
  readonly memberId: string;
  readonly attempt: number;
}

/** Which entries of one member are in a snapshot already. */
export interface WriterProgress {
  readonly memberId: string;
  /** The writer knows the outcomes of its entries up to this sequence. */
  readonly settled: number;
  /** The writer's entries after that, with their outcomes. */
  readonly entries: readonly { readonly sequence: number; readonly outcomes: readonly Outcome[] }[];
}

/** A part of a fold's content at one moment. */
export interface SnapshotPart {
  readonly tickets: readonly SnapshotTicket[];
  readonly writers: readonly WriterProgress[];
  readonly forced: readonly ForcedRecord[];
}

import type { LockName, TicketId, TicketLog } from "../log/ticket-log.js";
import type { Clock } from "./clock.js";
import type { LocalTicket } from "./local-ticket.js";
import type { LockState } from "./lock-errors.js";
import type { TableTicket } from "./lock-table.js";

/** What a local ticket needs of the node that serves it. */
export interface LocalTicketHost {
  readonly log: TicketLog;
  readonly clock: Clock;
  /** How long a wait outlives its requester's connection, in milliseconds. */
  readonly waiterGraceMs: number;
  /** Whether this node is surely a member now, and so may tell of a grant. */
  mayGrant(): boolean;
  /** Tells the ticket through `consider()` once {@link mayGrant} can be answered with yes again. */
  holdBack(local: LocalTicket): void;
  /** What the table has to say of a ticket. */
  find(name: LockName, id: TicketId): TableTicket | undefined;
  /** Who stands in the way of a lock. */
  state(name: LockName): LockState;
  /** Number of tickets that wait for a lock. */
  waiters(name: LockName): number;
  /** Whether the table has come as far as the revision. */
  passed(revision: bigint): boolean;
  /** Whether this node still serves the ticket through this object. */
  serves(local: LocalTicket): boolean;
  /** This node does not serve the ticket any more. */
  forget(local: LocalTicket): void;
  /** Removes the ticket from the log, for as long as it takes, and then forgets it. */
  discard(local: LocalTicket): void;
  /** A hold's TTL has passed. */
  expired(local: LocalTicket): void;
}

import type { Fold } from "../fold/fold.js";
import type { Ticket } from "../fold/queue.js";
import type { CommandWaiter, Urgency } from "../log/command-log.js";
import type { Command, Outcome } from "../model/command.js";
import type { TicketRef } from "../model/ticket-ref.js";
import type { Alarm } from "./alarms.js";
import type { TicketAccount } from "./claim.js";
import type { LockMeter } from "./node-observer.js";
import type { TicketEvent, TicketState } from "./ticket-state.js";

/** A ticket that this node serves, as the rest of the node sees it. */
export interface ServedTicket extends TicketRef {
  readonly state: TicketState;
  /** Whether it counts as a waiter that the table does not show yet. */
  counted: boolean;
  /** In the table, once a create command took effect. */
  readonly ticket: Ticket | undefined;
  readonly account: TicketAccount | undefined;
  dispatch(event: TicketEvent): void;
}

/** What a ticket needs of the node that serves it. */
export interface TicketHost {
  readonly fold: Pick<Fold, "forced" | "get" | "obstacle" | "sharing" | "waiters" | "admits" | "isOutdated">;
  /** How long a wait outlives its requester's connection, in milliseconds. */
  readonly waiterGraceMs: number;
  /** The node's clock, in milliseconds. */
  now(): number;
  setAlarm(alarm: Alarm, delayMs: number): void;
  cancelAlarm(alarm: Alarm): void;
  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void;
  /** Whether this node is that member. */
  isMember(memberId: string): boolean;
  /** Whether this node is surely a member now, and so may tell of a grant. */
  mayGrant(): boolean;
  /** Lets `sure` happen to the ticket once {@link mayGrant} is true again. */
  holdBack(local: ServedTicket): void;
  /** The ticket is in the table now, and found there from now on. */
  shown(local: ServedTicket): void;
  /** A create command has made this ticket, and nobody waits for it any more. */
  orphaned(ticket: Ticket, outcome: Outcome): void;
  /** The ticket waits, and its requester holds something meanwhile. */
  nested(ticket: Ticket): void;
  /** This node does not serve the ticket any more. */
  forget(local: ServedTicket): void;
  /** What counts the requests for a lock, if anything does. */
  meterOf(name: TicketRef["name"]): LockMeter | undefined;
  /** A hold's TTL has passed. */
  expired(local: ServedTicket): void;
}

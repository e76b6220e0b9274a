import type { Ask } from "./ask.js";
import type { HistoryEvent } from "./event.js";
import { locksOf, type TicketLife } from "./ticket-life.js";

/** A release by force that an operator wanted. Moments are in microseconds. */
export interface Force {
  readonly lock: string;
  readonly token: bigint;
  readonly atUs: number;
  /** When the operator was told that it is done; undefined if it was not. */
  doneUs?: number;
}

/** Gathers the releases by force from a process's events. */
export function forcesOf(events: readonly HistoryEvent[]): Force[] {
  const forces: Force[] = [];
  for (const event of events) {
    if (event.kind === "forcing") {
      forces.push({ lock: event.lock, token: BigInt(event.token), atUs: event.atUs });
    } else if (event.kind === "forced") {
      const force = forces.findLast(({ lock, token }) => lock === event.lock && token === BigInt(event.token));
      if (force !== undefined) {
        force.doneUs = event.atUs;
      }
    }
  }
  return forces;
}

/** The first operator who wanted a ticket to be removed. */
export function forceOf(ticket: TicketLife, forces: readonly Force[]): Force | undefined {
  return forces
    .filter((force) => force.token === ticket.token && locksOf(ticket).includes(force.lock))
    .reduce<Force | undefined>(
      (first, force) => (first === undefined || force.atUs < first.atUs ? force : first),
      undefined,
    );
}

/** Notes which asks were ended by force, and since when others may hold what they held. */
export function noteForces(asks: readonly Ask[], tickets: readonly TicketLife[], forces: readonly Force[]): void {
  const byToken = new Map(tickets.filter(({ forced }) => forced === true).map((ticket) => [ticket.token, ticket]));
  for (const ask of asks) {
    const ticket = ask.token === undefined ? undefined : byToken.get(ask.token);
    const force = ticket?.ask === ask.id ? forceOf(ticket, forces) : undefined;
    if (force !== undefined) {
      ask.forcedUs = force.atUs;
    }
  }
}

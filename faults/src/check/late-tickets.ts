import type { Ask } from "../history/ask.js";
import type { TicketLife } from "../history/ticket-life.js";

/** A ticket that nobody was waiting for any more when it came into the store: it keeps the lock from others. */
export interface LateTicket {
  readonly ticket: TicketLife;
  readonly ask: Ask;
  /** When it came, in microseconds. */
  readonly atUs: number;
  /** How long it was there, in microseconds; infinite if it was there at the end. */
  readonly lastedUs: number;
}

/**
 * Repeats of a transaction whose answer was lost can come into the store after what they repeat was undone. Their node
 * removes them as soon as it hears of them, which those in their way hardly notice.
 */
const onSightUs = 500_000;

/** The tickets that were created after their ask was over, granted elsewhere and unlocked, and not removed on sight. */
export function lateTickets(asks: readonly Ask[], tickets: readonly TicketLife[]): LateTicket[] {
  const asksById = new Map(asks.map((ask) => [ask.id, ask]));
  return tickets.flatMap((ticket) => {
    const ask = asksById.get(ticket.ask);
    if (ask?.token === undefined || ask.unlockedUs === undefined) {
      return [];
    }
    const lastedUs = (ticket.goneUs ?? Infinity) - ticket.createdUs;
    // By token, not by the clock: the store tells of it a little later.
    return ticket.token > ask.token && ticket.createdUs > ask.unlockedUs && lastedUs > onSightUs
      ? [{ ticket, ask, atUs: ticket.createdUs, lastedUs }]
      : [];
  });
}

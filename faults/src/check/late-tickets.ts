import type { Ask } from "../history/ask.js";
import type { TicketLife } from "../history/ticket-life.js";

/** A ticket that was created when nobody was waiting for it any more. It keeps the lock from others. */
export interface LateTicket {
  readonly ticket: TicketLife;
  readonly ask: Ask;
  /** When it was created, in microseconds. */
  readonly atUs: number;
  /** How long it was in the log, in microseconds; infinite if it was there at the end. */
  readonly lastedUs: number;
}

/**
 * When the answer to a put was lost, the put is repeated, and may come when its requester has given up already. The
 * node removes such a ticket as soon as it sees it; those that wait hardly notice. This is how long that may take.
 */
const onSightUs = 500_000;

/**
 * The tickets that were created after their ask was granted elsewhere and unlocked, and that were not removed at once.
 */
export function lateTickets(asks: readonly Ask[], tickets: readonly TicketLife[]): LateTicket[] {
  const asksById = new Map(asks.map((ask) => [ask.id, ask]));
  return tickets.flatMap((ticket) => {
    const ask = asksById.get(ticket.ask);
    if (ask?.token === undefined || ask.unlockedUs === undefined) {
      return [];
    }
    const lastedUs = (ticket.goneUs ?? Infinity) - ticket.createdUs;
    // The comparison is by token, not by the clock: the watch tells of a ticket a little later.
    return ticket.token > ask.token && ticket.createdUs > ask.unlockedUs && lastedUs > onSightUs
      ? [{ ticket, ask, atUs: ticket.createdUs, lastedUs }]
      : [];
  });
}

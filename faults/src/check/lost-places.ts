import type { Ask } from "../history/ask.js";
import type { TicketLife } from "../history/ticket-life.js";
import { ticketsByAsk } from "./tickets.js";

/** A wait that had to begin again at the end of the queue. */
export interface LostPlace {
  readonly ask: Ask;
  /** When its first ticket went, in microseconds. */
  readonly atUs: number;
}

/**
 * The waits without end whose ticket went before it was granted, although they went on with another. One that has an end
 * may ask once more after it, whether it was granted meanwhile: that is a ticket again, but no place.
 */
export function lostPlaces(asks: readonly Ask[], tickets: readonly TicketLife[]): LostPlace[] {
  const groups = ticketsByAsk(tickets);
  return asks.flatMap((ask) => {
    const [first, second] = groups.get(ask.id) ?? [];
    if (ask.waitMs !== undefined || first?.goneUs === undefined || second === undefined || first.token === ask.token)
      return [];
    return [{ ask, atUs: first.goneUs }];
  });
}

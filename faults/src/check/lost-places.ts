import type { Ask } from "../history/ask.js";
import type { TicketLife } from "../history/ticket-life.js";
import { byLock } from "./by-lock.js";
import { ticketsByAsk } from "./tickets.js";

/** A wait that had to begin again at the end of the queue. */
export interface LostPlace {
  readonly ask: Ask;
  /** When its first ticket went, in microseconds. */
  readonly atUs: number;
}

/**
 * The waits without end whose ticket went while others were before it, although they went on with another ticket.
 *
 * A ticket that was the first when it went has had the lock: its client was not reached, and the TTL passed. And a wait that
 * has an end may ask once more after it, whether it was granted meanwhile: that is a ticket again, but no place.
 */
export function lostPlaces(asks: readonly Ask[], tickets: readonly TicketLife[]): LostPlace[] {
  const groups = ticketsByAsk(tickets);
  const locks = byLock(tickets);
  return asks.flatMap((ask) => {
    const [first, second] = groups.get(ask.id) ?? [];
    const { goneUs, gonePlace } = first ?? {};
    if (goneUs === undefined || gonePlace === undefined || first === undefined || second === undefined) {
      return [];
    }
    if (ask.waitMs !== undefined || first.token === ask.token) {
      return [];
    }
    const waited = (locks.get(ask.lock) ?? []).some(
      (other) => other.token < first.token && (other.gonePlace === undefined || other.gonePlace > gonePlace),
    );
    return waited ? [{ ask, atUs: goneUs }] : [];
  });
}

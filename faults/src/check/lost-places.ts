import type { Ask } from "../history/ask.js";
import type { TicketLife } from "../history/ticket-life.js";
import { byLock } from "./by-lock.js";
import { ticketsByAsk } from "./tickets.js";

/** A wait that had to begin again at the end of the queue. */
export interface LostPlace {
  readonly ask: Ask;
  /** When its first ticket was removed, in microseconds. */
  readonly atUs: number;
}

/**
 * Finds the waits without end that lost their place: their ticket was removed while others were before it, and they
 * went on with another ticket.
 *
 * A ticket that was the first one when it was removed has had the lock: its client was not reached, and the TTL passed.
 * A wait with an end may ask once more after its end, to learn whether it was granted meanwhile. That is another
 * ticket, but no lost place.
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
    // Of those who share, one may go that has held beside others. One that was taken by force has lost it knowingly.
    const isOther = ask.limit !== 1 || ask.others !== undefined || first.forced === true;
    if (ask.waitMs !== undefined || first.token === ask.token || isOther) {
      return [];
    }
    const waited = (locks.get(ask.lock) ?? []).some(
      (other) => other.token < first.token && (other.gonePlace === undefined || other.gonePlace > gonePlace),
    );
    return waited ? [{ ask, atUs: goneUs }] : [];
  });
}

import type { History } from "../history/history.js";
import { ticketsByAsk } from "./tickets.js";
import { touches } from "./touches.js";
import { at, type Violation } from "./violation.js";

// On a machine that is not overloaded, the watch tells of a removal within milliseconds.
const toldWithinUs = 1_000_000;

/**
 * Checks that the ticket of an answered unlock is gone at once, and not only when its TTL has passed. While a fault is
 * in etcd itself, the watch may tell of it later. An unlock after the end of the lock's validity shows nothing: the
 * client calls it done even if no server has answered, because the lock ends without it.
 */
export function checkUnlocks({ asks, tickets, faults }: Pick<History, "asks" | "tickets" | "faults">): Violation[] {
  const groups = ticketsByAsk(tickets);
  const storeFaults = faults.filter(({ kind }) => kind.startsWith("etcd"));
  return asks.flatMap((ask): Violation[] => {
    const { token, unlockedUs, untilUs = Infinity } = ask;
    const ticket = groups.get(ask.id)?.find((candidate) => candidate.token === token);
    if (unlockedUs === undefined || unlockedUs >= untilUs || ticket === undefined) {
      return [];
    }
    const goneUs = ticket.goneUs ?? Infinity;
    if (goneUs <= unlockedUs + toldWithinUs) {
      return [];
    }
    if (Number.isFinite(goneUs) && storeFaults.some((span) => touches(span, unlockedUs, goneUs))) {
      return [];
    }
    const gone = Number.isFinite(goneUs) ? `went at ${at(goneUs)}` : "never went";
    const what = `${ask.id} was told at ${at(unlockedUs)} that ${ask.lock} is unlocked, but its ticket ${ticket.token} ${gone}`;
    return [{ rule: "unlocks take effect", what }];
  });
}

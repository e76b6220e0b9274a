import { beliefOf } from "../history/belief.js";
import { forceOf } from "../history/force.js";
import type { History } from "../history/history.js";
import { locksOf, type TicketLife } from "../history/ticket-life.js";
import { touches } from "./touches.js";
import { at, type Violation } from "./violation.js";

/** Where nothing is broken, a client hears so soon of what was taken from it. */
const toldWithinUs = 1_000_000;

type Known = Pick<History, "asks" | "tickets" | "faults" | "forces">;

/**
 * Checks that only what an operator named was removed by force, and that it was if the operator was told so; and that
 * whoever believed to hold it was told: soon where nothing was broken, and with the TTL at the latest.
 */
export function checkForces({ asks, tickets, faults, forces }: Known): Violation[] {
  const forced = tickets.filter((ticket) => ticket.forced === true);
  return [
    ...forced.filter((ticket) => forceOf(ticket, forces) === undefined).map(notNamed),
    ...forces.flatMap(({ lock, token, doneUs }): Violation[] => {
      const isGone = forced.some((ticket) => ticket.token === token && locksOf(ticket).includes(lock));
      const what = `an operator was told that token ${token} of ${lock} is removed, which it is not`;
      return doneUs === undefined || isGone ? [] : [{ rule: "force hits what was named", what }];
    }),
    ...asks.flatMap((ask): Violation[] => {
      const ticket = forced.find(({ token, ask: of }) => token === ask.token && of === ask.id);
      const { fromUs = 0, toUs = 0 } = beliefOf(ask) ?? {};
      const goneUs = Math.max(ticket?.goneUs ?? Infinity, fromUs);
      const soonUs = goneUs + toldWithinUs;
      const isBroken = faults.some((span) => span.kind !== "quiet" && touches(span, goneUs - toldWithinUs, soonUs));
      const untilUs = isBroken ? Math.max(soonUs, goneUs + ask.ttlMs * 1_000) : soonUs;
      const what = `${ask.id} believed to hold ${ask.lock} until ${at(toUs)}, but it was taken by force at ${at(goneUs)}`;
      return toUs <= untilUs ? [] : [{ rule: "force is told", what }];
    }),
  ];
}

function notNamed({ lock, token, goneUs = 0 }: TicketLife): Violation {
  const what = `token ${token} of ${lock} was removed by force at ${at(goneUs)}, which no operator had asked for`;
  return { rule: "force hits what was named", what };
}

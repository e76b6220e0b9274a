import type { Ask } from "../history/ask.js";
import { beliefOf } from "../history/belief.js";
import type { History } from "../history/history.js";
import { locksOf, type TicketLife } from "../history/ticket-life.js";
import { at, type Violation } from "./violation.js";

/** The tickets of each ask, the oldest first. */
export function ticketsByAsk(tickets: readonly TicketLife[]): Map<string, TicketLife[]> {
  const groups = new Map<string, TicketLife[]>();
  for (const ticket of tickets) {
    const group = groups.get(ticket.ask);
    if (group === undefined) {
      groups.set(ticket.ask, [ticket]);
    } else {
      group.push(ticket);
    }
  }
  return groups;
}

/**
 * Compares what clients believed with the tickets in the log. A grant must belong to a committed ticket of its ask; the
 * ticket must stay while the client believes that it holds; and an ask must never have two tickets at once.
 */
export function checkTickets({ asks, tickets }: Pick<History, "asks" | "tickets">): Violation[] {
  const groups = ticketsByAsk(tickets);
  return [
    ...asks.flatMap((ask) => checkGrant(ask, groups.get(ask.id) ?? [])),
    ...[...groups.values()].flatMap(doubled),
  ];
}

function checkGrant(ask: Ask, tickets: readonly TicketLife[]): Violation[] {
  if (ask.token === undefined) {
    return [];
  }
  const ticket = tickets.find(({ token, lock }) => token === ask.token && lock === ask.lock);
  if (ticket === undefined) {
    const what = `${ask.id} was granted ${ask.lock} with token ${ask.token}, which the store never gave to it`;
    return [{ rule: "grants are committed", what }];
  }
  const [asked, given] = [[ask.lock, ...(ask.others ?? []).map(({ lock }) => lock)], locksOf(ticket)];
  if (ticket.held !== true || asked.join() !== given.join()) {
    const what = `${ask.id} was granted ${asked.join(" and ")} with token ${ask.token}, which never held all of it, and no more`;
    return [{ rule: "grants are committed", what }];
  }
  const belief = beliefOf(ask);
  // The watch tells of a removal only after it. So whoever still believed at this time believed too long.
  if (belief === undefined || ticket.goneUs === undefined || belief.toUs <= ticket.goneUs || ticket.forced === true) {
    return [];
  }
  const untilText = Number.isFinite(belief.toUs) ? at(belief.toUs) : "the end";
  const what = `${ask.id} believed to hold ${ask.lock} (token ${ask.token}) until ${untilText}, but its ticket was gone at ${at(ticket.goneUs)}`;
  return [{ rule: "holds are kept", what }];
}

function doubled(tickets: readonly TicketLife[]): Violation[] {
  return tickets.flatMap((ticket, index) => {
    const next = tickets[index + 1];
    if (next === undefined || (ticket.gonePlace !== undefined && ticket.gonePlace < next.token)) {
      return [];
    }
    const what = `${ticket.ask} had two tickets at once for ${ticket.lock}: ${ticket.token} and ${next.token}`;
    return [{ rule: "one ticket an ask", what }];
  });
}

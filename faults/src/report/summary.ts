import { checkHistory } from "../check/check-history.js";
import { type LateTicket, lateTickets } from "../check/late-tickets.js";
import { lostPlaces } from "../check/lost-places.js";
import type { Violation } from "../check/violation.js";
import type { FaultSpan, History } from "../history/history.js";
import { longTtlMs } from "../load/roles.js";
import { type Gaps, gapsDuring } from "./gaps.js";

/** The effect of one fault on those who use the locks. */
export interface FaultEffect extends Gaps {
  readonly kind: string;
  readonly target: string;
  /** How long it lasted, in milliseconds. */
  readonly lastedMs: number;
  readonly acquisitions: number;
  /** Locks with a long TTL that were kept alive and were lost nevertheless. */
  readonly lostHolds: readonly string[];
  /** Waits that had to begin again at the end of the queue. */
  readonly lostPlaces: readonly string[];
  /** Tickets that were created when their requesters had long been served elsewhere. */
  readonly lateTickets: readonly string[];
  /** Errors that callers got. */
  readonly errors: readonly string[];
}

/** What a campaign has shown. */
export interface Summary {
  readonly seconds: number;
  readonly acquisitions: number;
  /** How many of them were of several locks at once, and how many tickets were removed by force. */
  readonly ofSeveral: number;
  readonly forced: number;
  /** Errors that callers got while nothing was wrong. */
  readonly strayErrors: readonly string[];
  readonly writes: { readonly taken: number; readonly refused: number };
  readonly effects: readonly FaultEffect[];
  readonly violations: readonly Violation[];
}

/** Summarizes a history. Pure. */
export function summarize(history: History): Summary {
  const { asks, tickets, resource, faults, beginUs, endUs } = history;
  const places = lostPlaces(asks, tickets);
  const late = lateTickets(asks, tickets);
  const errors = asks.flatMap(({ id, lock, errors: ofAsk }) =>
    ofAsk.map(({ atUs, error }) => ({ atUs, text: `${id} (${lock}): ${error}` })),
  );
  const lost = asks.flatMap(({ id, lock, keepAlive, ttlMs, overUs, forcedUs, why = "" }) =>
    keepAlive && ttlMs >= longTtlMs && overUs !== undefined && forcedUs === undefined
      ? [{ id, atUs: overUs, text: `${id} (${lock}): ${why}` }]
      : [],
  );
  const effectOf = (span: FaultSpan): FaultEffect => {
    const within = ({ atUs }: { readonly atUs: number }): boolean => atUs >= span.beginUs && atUs <= span.endUs;
    // What a paused process loses is lost because of its pause, not because of the service.
    const others = ({ id }: { readonly id: string }): boolean => !id.startsWith(`${span.target}-`);
    return {
      kind: span.kind,
      target: span.target,
      lastedMs: (span.healedUs - span.beginUs) / 1000,
      ...gapsDuring(span, history),
      acquisitions: asks.filter(({ grantedUs }) => grantedUs !== undefined && within({ atUs: grantedUs })).length,
      lostHolds: lost.filter((hold) => within(hold) && others(hold)).map(({ text }) => text),
      lostPlaces: places
        .filter((place) => within(place) && others(place.ask))
        .map(({ ask }) => `${ask.id} (${ask.lock})`),
      lateTickets: late.filter(within).map(describeLate),
      errors: errors.filter(within).map(({ text }) => text),
    };
  };
  const during = ({ atUs }: { readonly atUs: number }): boolean =>
    faults.some(({ kind, beginUs: from, endUs: to }) => kind !== "quiet" && atUs >= from && atUs <= to);
  return {
    seconds: (endUs - beginUs) / 1_000_000,
    acquisitions: asks.filter(({ grantedUs }) => grantedUs !== undefined).length,
    ofSeveral: asks.filter(({ grantedUs, others }) => grantedUs !== undefined && others !== undefined).length,
    forced: tickets.filter(({ forced }) => forced === true).length,
    strayErrors: errors.filter((error) => !during(error)).map(({ text }) => text),
    writes: {
      taken: resource.filter(({ kind }) => kind === "written").length,
      refused: resource.filter(({ kind }) => kind === "fenced").length,
    },
    effects: faults.map(effectOf),
    violations: checkHistory(history),
  };
}

function describeLate({ ticket, ask, lastedUs }: LateTicket): string {
  return `${ask.id} (${ask.lock}): token ${ticket.token}, there for ${(lastedUs / 1_000_000).toFixed(1)} s`;
}

import type { Ask } from "./ask.js";
import type { HistoryEvent } from "./event.js";
import type { Force } from "./force.js";
import type { TicketLife } from "./ticket-life.js";

/** A write that the resource judged. */
export type ResourceEvent = Extract<HistoryEvent, { readonly kind: "written" | "fenced" }>;

/** A time in which something was broken on purpose, and the time after it until everything was well again. */
export interface FaultSpan {
  readonly kind: string;
  /** What was broken, in words for people. */
  readonly target: string;
  readonly beginUs: number;
  /** When it was repaired. */
  readonly healedUs: number;
  /** When the time for recovery was over. */
  readonly endUs: number;
}

/** Everything that is known of a campaign. */
export interface History {
  readonly asks: readonly Ask[];
  /** All tickets, in the order of their creation. */
  readonly tickets: readonly TicketLife[];
  /** What operators wanted to be removed. */
  readonly forces: readonly Force[];
  /** What the resource did, in order. */
  readonly resource: readonly ResourceEvent[];
  /** When plain writes to the store succeeded, in order. */
  readonly putsUs: readonly number[];
  readonly faults: readonly FaultSpan[];
  /** Tickets that were still in the log after the end, in words for people. */
  readonly left: readonly string[];
  readonly beginUs: number;
  /** When the load was told to end. */
  readonly endUs: number;
}

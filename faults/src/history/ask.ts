import type { AskedPart, HistoryEvent } from "./event.js";

/** One request for a lock, from asking to the end of the hold, as its client saw it. Moments are in microseconds. */
export interface Ask {
  readonly id: string;
  readonly process: string;
  readonly lock: string;
  readonly ttlMs: number;
  readonly keepAlive: boolean;
  readonly askedUs: number;
  /** How long it may wait, in milliseconds; absent: without end. */
  readonly waitMs?: number;
  /** How much of the lock it takes, and the most that all holders may take beside it: 1 of 1 for an exclusive lock. */
  readonly permits: number;
  readonly limit: number;
  /** More locks that are asked for at once. */
  readonly others?: readonly AskedPart[];
  token?: bigint;
  floor?: bigint;
  /** Of {@link others}. */
  otherFloors?: readonly bigint[];
  grantedUs?: number;
  /** When it counted the lock as shared. */
  downgradedUs?: number;
  /** Until when the client believed that it holds, as it last said. */
  untilUs?: number;
  overUs?: number;
  why?: string;
  doneUs?: number;
  unlockedUs?: number;
  refusedUs?: number;
  /** Errors that the caller got. */
  readonly errors: { readonly atUs: number; readonly error: string }[];
  /** When an operator was about to take it away, if its ticket went by that. Nobody can know of it before. */
  forcedUs?: number;
  /** When its process was killed. */
  diedUs?: number;
}

/** Gathers the asks from a process's events. `diedUs` is when the process was killed, if it was. */
export function asksOf(process: string, events: readonly HistoryEvent[], diedUs?: number): Ask[] {
  const asks = new Map<string, Ask>();
  for (const event of events) {
    if (event.kind === "asked") {
      const { ask: id, lock, ttlMs, keepAlive, atUs: askedUs, permits = 1, limit = 1 } = event;
      const rest = {
        ...(event.waitMs !== undefined && { waitMs: event.waitMs }),
        ...(event.others !== undefined && { others: event.others }),
        ...(diedUs !== undefined && { diedUs }),
      };
      asks.set(id, { id, process, lock, ttlMs, keepAlive, askedUs, permits, limit, errors: [], ...rest });
    } else if ("ask" in event) {
      const ask = asks.get(event.ask);
      if (ask !== undefined) {
        note(ask, event);
      }
    }
  }
  return [...asks.values()];
}

function note(ask: Ask, event: HistoryEvent): void {
  switch (event.kind) {
    case "granted":
      ask.token = BigInt(event.token);
      ask.floor = BigInt(event.floor);
      ask.otherFloors = (event.otherFloors ?? []).map(BigInt);
      ask.grantedUs = event.atUs;
      ask.untilUs = event.untilUs;
      break;
    case "downgraded":
      ask.downgradedUs = event.atUs;
      break;
    case "over":
      ask.overUs = event.atUs;
      ask.why = event.why;
      ask.untilUs = event.untilUs;
      break;
    case "done":
      ask.doneUs = event.atUs;
      ask.untilUs = event.untilUs;
      break;
    case "unlocked":
      ask.unlockedUs = event.atUs;
      break;
    case "refused":
      ask.refusedUs = event.atUs;
      break;
    case "failed":
      ask.errors.push({ atUs: event.atUs, error: event.error });
      break;
    default:
  }
}

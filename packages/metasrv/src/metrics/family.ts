import { isExclusive, isShared, type TicketContent } from "../model/ticket-content.js";
import type { HoldEnd, LockMeter, RequestOutcome } from "../node/node-observer.js";
import { Buckets, secondsBounds } from "./buckets.js";

/** A kind of lock, as a label. */
export type Kind = "exclusive" | "shared" | "semaphore" | "several";

/** Waits and holds of one kind. */
export interface KindTimes {
  readonly waits: Buckets;
  readonly holds: Buckets;
}

/** What this node has counted of the locks of one family since it started. */
export class Family implements LockMeter {
  readonly label: string;
  readonly requests: Record<RequestOutcome, number> = { granted: 0, refused: 0, timed_out: 0, cancelled: 0, failed: 0 };
  readonly holdsEnded: Record<HoldEnd, number> = { released: 0, expired: 0, forced: 0, moved: 0 };
  limitMismatches = 0;
  /** Only of kinds that there were. */
  readonly times = new Map<Kind, KindTimes>();
  #lastKind: Kind | undefined;
  #lastTimes: KindTimes | undefined;

  constructor(label: string) {
    this.label = label;
  }

  limitMismatch(): void {
    this.limitMismatches++;
  }

  ended(outcome: RequestOutcome): void {
    this.requests[outcome]++;
  }

  granted(content: TicketContent, waitedMs: number): void {
    this.requests.granted++;
    this.#timesOf(content).waits.add(waitedMs / 1000);
  }

  holdEnded(content: TicketContent, how: HoldEnd, heldMs: number): void {
    this.holdsEnded[how]++;
    this.#timesOf(content).holds.add(heldMs / 1000);
  }

  #timesOf(content: TicketContent): KindTimes {
    const kind = kindOf(content);
    if (kind === this.#lastKind && this.#lastTimes !== undefined) {
      return this.#lastTimes;
    }
    let times = this.times.get(kind);
    if (times === undefined) {
      times = { waits: new Buckets(secondsBounds), holds: new Buckets(secondsBounds) };
      this.times.set(kind, times);
    }
    this.#lastKind = kind;
    this.#lastTimes = times;
    return times;
  }
}

function kindOf(content: TicketContent): Kind {
  if (content.extras !== undefined && content.extras.others.length > 0) {
    return "several";
  }
  if (isExclusive(content)) {
    return "exclusive";
  }
  return isShared(content) ? "shared" : "semaphore";
}

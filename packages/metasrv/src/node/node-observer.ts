import type { TicketContent } from "../model/ticket-content.js";
import type { LockName } from "../model/ticket-ref.js";

/** How a request ended; `failed` is everything that no other word says. */
export type RequestOutcome = "granted" | "refused" | "timed_out" | "cancelled" | "failed";

/** How a hold ended at the node that served it; `moved`: it goes on, at another node. */
export type HoldEnd = "released" | "expired" | "forced" | "moved";

/** Counts what becomes of the requests for some locks. Its methods must not throw. */
export interface LockMeter {
  /** A requester was granted a semaphore of which others say that it has fewer permits. */
  limitMismatch(): void;
  /** A request ended without a grant. */
  ended(outcome: Exclude<RequestOutcome, "granted">): void;
  /** A requester was told of its grant. */
  granted(content: TicketContent, waitedMs: number): void;
  /** @param heldMs - for how long this node saw the ticket hold */
  holdEnded(content: TicketContent, how: HoldEnd, heldMs: number): void;
}

/** Told what happens at a node. Its methods must not throw. */
export interface NodeObserver {
  /** What counts the requests for a lock; always the same for one name. */
  meterOf(name: LockName): LockMeter;
  /** A request was refused before it was one for a lock: it was wrong, or there was no room for it. */
  rejected(): void;
  /** Requests were found to wait for each other. */
  deadlock(): void;
}

/** How much is asked for of one of several locks. */
export interface AskedPart {
  readonly lock: string;
  readonly permits: number;
  readonly limit: number;
}

/**
 * An event that a process writes into its journal, one JSON object a line. `atUs` is when it happened, in microseconds
 * on the clock that all processes of the machine share. `ask` names one request for a lock; it is also the owner text
 * of the request's ticket.
 */
export type HistoryEvent =
  /** A lock is asked for. */
  | {
      readonly kind: "asked";
      readonly atUs: number;
      readonly ask: string;
      readonly lock: string;
      readonly ttlMs: number;
      readonly keepAlive: boolean;
      /** How long the client waits, in milliseconds; absent: without end. */
      readonly waitMs?: number;
      /** How much of the lock it takes, and the most that all holders may take beside it; absent: 1 of 1. */
      readonly permits?: number;
      readonly limit?: number;
      /** More locks that are asked for at once, in the order of their names, which are above the first. */
      readonly others?: readonly AskedPart[];
    }
  /** It was granted, and is believed to be held until `untilUs`, as far as is known now. */
  | {
      readonly kind: "granted";
      readonly atUs: number;
      readonly ask: string;
      readonly token: string;
      readonly floor: string;
      /** Of the other locks, in the order in which they were asked for. */
      readonly otherFloors?: readonly string[];
      readonly untilUs: number;
    }
  /** Its holder counts the lock as shared from now on. */
  | { readonly kind: "downgraded"; readonly atUs: number; readonly ask: string }
  /** The lock's signal has aborted. Its validity ran until `untilUs`. */
  | {
      readonly kind: "over";
      readonly atUs: number;
      readonly ask: string;
      readonly why: string;
      readonly untilUs: number;
    }
  /** The holder has done its work, and is about to give the lock back, or to go away without doing so. */
  | { readonly kind: "done"; readonly atUs: number; readonly ask: string; readonly untilUs: number }
  /** The unlock was answered with success. */
  | { readonly kind: "unlocked"; readonly atUs: number; readonly ask: string }
  /** It was not granted, as it may happen: the lock was taken, `waitMs` has passed, an operator ended it, or the campaign ends. */
  | {
      readonly kind: "refused";
      readonly atUs: number;
      readonly ask: string;
      readonly why: "taken" | "waited" | "forced" | "ending";
    }
  /** The caller got an error, from asking for the lock or from giving it back. */
  | { readonly kind: "failed"; readonly atUs: number; readonly ask: string; readonly error: string }
  /** The resource took a write. */
  | {
      readonly kind: "written";
      readonly atUs: number;
      readonly ask: string;
      readonly lock: string;
      readonly token: string;
      readonly floor: string;
    }
  /** The resource refused a write because it had seen a higher floor. */
  | {
      readonly kind: "fenced";
      readonly atUs: number;
      readonly ask: string;
      readonly lock: string;
      readonly token: string;
      readonly floor: string;
      readonly highest: string;
    }
  /** An operator is about to release a lock by force. */
  | { readonly kind: "forcing"; readonly atUs: number; readonly lock: string; readonly token: string }
  /** The operator was told that this is done. */
  | { readonly kind: "forced"; readonly atUs: number; readonly lock: string; readonly token: string }
  /** A plain write to the store succeeded. */
  | { readonly kind: "put"; readonly atUs: number };

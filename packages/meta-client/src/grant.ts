import type { Grant, LockResponse, LockState } from "@metasrv/proto/metasrv/v1";
import { Holding } from "./holding.js";
import { UnexpectedError } from "./meta-errors.js";

/** A grant as the client counts it. */
export interface Granted {
  readonly holding: Holding;
  readonly token: bigint;
  readonly ttlMs: number;
  /**
   * The earliest moment, on the client's clock, at which the grant can have begun: the server had the request for
   * `waited_ms`, and cannot have had it before it was sent. The server's clock measured the wait, so less is counted.
   */
  readonly grantedAtMs: number;
}

/** A server's answer to a request for a lock. */
export type LockOutcome =
  | { readonly kind: "granted"; readonly grant: Granted }
  | { readonly kind: "refused"; readonly state: LockState | undefined };

/** A renewal as the client counts it: valid for `ttlMs` from `sentAtMs`. */
export interface Renewed {
  readonly ttlMs: number;
  /** When the request left, on the client's clock: not later than its receipt by the server. */
  readonly sentAtMs: number;
}

/**
 * Reads the answer to a request for a lock.
 *
 * @param sentAtMs - when the request left, on the client's clock: not later than its receipt by the server
 */
export function readOutcome({ outcome }: LockResponse, sentAtMs: number): LockOutcome {
  switch (outcome.case) {
    case "granted":
      return { kind: "granted", grant: readGrant(outcome.value, sentAtMs) };
    case "refused":
      return { kind: "refused", state: outcome.value.state };
    case undefined:
      throw new UnexpectedError(
        "The server neither granted nor refused the lock. Check that it is not newer than this client.",
      );
  }
}

/** By what part of a wait two clocks may differ: either may be slewed by 0.05 % while it is set right. */
const driftOfWait = 0.001;
/** Long waits must not use the TTL up: at most this part of it is taken off. */
const mostOfTtl = 0.25;

/** Reads a grant; parameters as in {@link readOutcome}. */
export function readGrant({ key, token, ttlMs, waitedMs }: Grant, sentAtMs: number): Granted {
  const driftMs = Math.min(waitedMs * driftOfWait, Number(ttlMs) * mostOfTtl);
  return { holding: new Holding(key), token, ttlMs: Number(ttlMs), grantedAtMs: sentAtMs + waitedMs - driftMs };
}

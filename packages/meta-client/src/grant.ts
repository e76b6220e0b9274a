import type { Grant, LockResponse, LockState } from "@metasrv/proto/metasrv/v1";
import { Holding } from "./holding.js";
import { UnexpectedError } from "./meta-errors.js";

/** A grant as the client counts it. */
export interface Granted {
  readonly holding: Holding;
  readonly token: bigint;
  /** No holder of the lock has a lower token than this. */
  readonly floor: bigint;
  /** The smallest limit among the holders of a semaphore; 0 where the server named none. */
  readonly limit: number;
  readonly ttlMs: number;
  /**
   * The earliest moment, on the client's clock, at which the grant can have begun. The server had the request for
   * `waited_ms`, and cannot have had it before it was sent. Because the server's clock measured the wait, a little less
   * of it is counted.
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
  /** When the request left, on the client's clock; the server cannot have received it earlier. */
  readonly sentAtMs: number;
}

/**
 * Reads the answer to a request for a lock.
 *
 * @param sentAtMs - when the request left, on the client's clock; the server cannot have received it earlier
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

/** The part of a wait by which two clocks may differ: each may be slewed by 0.05 % while it is corrected. */
const driftOfWait = 0.001;
/** At most this part of the TTL is taken off, so that a long wait does not use all of it up. */
const mostOfTtl = 0.25;

/** Reads a grant; parameters as in {@link readOutcome}. */
export function readGrant({ key, token, ttlMs, waitedMs, floor, limit }: Grant, sentAtMs: number): Granted {
  const driftMs = Math.min(waitedMs * driftOfWait, Number(ttlMs) * mostOfTtl);
  const grantedAtMs = sentAtMs + waitedMs - driftMs;
  return { holding: new Holding(key), token, floor, limit, ttlMs: Number(ttlMs), grantedAtMs };
}

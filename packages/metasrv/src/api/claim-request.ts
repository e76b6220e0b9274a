import { LockMode, type LockRequest } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import { exclusive, noLimit, type Share, shared } from "../model/share.js";
import type { ClaimRequest, Renewal } from "../node/claim.js";

/**
 * Reads what a caller asks for. Numbers above 2^53 become inexact here; the node checks their range.
 *
 * @throws LockError `invalid-mode`, `invalid-permits`
 */
export function claimRequest(request: LockRequest): ClaimRequest {
  const { lock, ticketId, ttlMs, waitMs, owner, attempt } = request;
  return {
    name: lock.case === "name" ? Buffer.from(lock.value) : (lock.value ?? new Uint8Array()),
    ...(ticketId.byteLength > 0 && { ticketId, attempt }),
    ttlMs: Number(ttlMs),
    ...(waitMs !== undefined && { waitMs: Number(waitMs) }),
    owner,
    share: shareOf(request),
  };
}

/**
 * Reads what a renewal changes.
 *
 * @throws LockError `invalid-mode`
 */
export function renewalOf({ ttlMs, mode }: { readonly ttlMs: bigint; readonly mode: LockMode }): Renewal {
  if (mode !== LockMode.UNSPECIFIED && mode !== LockMode.SHARED) {
    throw new LockError(
      "invalid-mode",
      `mode is ${nameOf(mode)}; a renewal can only make an exclusive lock shared (LOCK_MODE_SHARED) or keep the mode. To ` +
        "hold it otherwise, release it and ask again: two holders that each wait for the other to go would wait for ever",
    );
  }
  return { ttlMs: Number(ttlMs), downgrade: mode === LockMode.SHARED };
}

function shareOf({ mode, permits, limit }: LockRequest): Share {
  switch (mode) {
    case LockMode.UNSPECIFIED:
    case LockMode.EXCLUSIVE:
      requireNoPermits(mode, permits, limit);
      return exclusive;
    case LockMode.SHARED:
      requireNoPermits(mode, permits, limit);
      return shared;
    case LockMode.SEMAPHORE:
      if (limit === 0 || limit === noLimit) {
        throw new LockError(
          "invalid-permits",
          `the limit is ${limit}; with LOCK_MODE_SEMAPHORE, say how many permits there are, 1 to ${noLimit - 1}`,
        );
      }
      return { permits: permits === 0 ? 1 : permits, limit };
    default:
      throw new LockError(
        "invalid-mode",
        `mode is ${nameOf(mode)}; give LOCK_MODE_EXCLUSIVE, LOCK_MODE_SHARED, LOCK_MODE_SEMAPHORE, or none`,
      );
  }
}

function requireNoPermits(mode: LockMode, permits: number, limit: number): void {
  if (permits !== 0 || limit !== 0) {
    throw new LockError(
      "invalid-permits",
      `permits and limit are ${permits} and ${limit}, and mode is ${nameOf(mode)}; give them with LOCK_MODE_SEMAPHORE only`,
    );
  }
}

/** A newer caller may send modes that have no name here. */
function nameOf(mode: LockMode): string {
  return mode in LockMode ? `LOCK_MODE_${LockMode[mode]}` : String(mode);
}

import { LockMode, type LockRequest } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import type { ClaimRequest } from "../node/claim.js";

/** The modes known here; a newer caller may send others. */
const modes: ReadonlySet<LockMode> = new Set([LockMode.UNSPECIFIED, LockMode.EXCLUSIVE]);

/**
 * What a caller asks of the lock store. Of the numbers, beyond 2^53 not exact any more, the store checks the range.
 *
 * @throws LockError `invalid-mode`
 */
export function claimRequest(request: LockRequest): ClaimRequest {
  if (!modes.has(request.mode)) {
    throw new LockError("invalid-mode", `mode is ${request.mode}; give LOCK_MODE_EXCLUSIVE, or none`);
  }
  const { lock, ticketId, ttlMs, waitMs, owner, attempt } = request;
  return {
    name: lock.case === "name" ? Buffer.from(lock.value) : (lock.value ?? new Uint8Array()),
    ...(ticketId.byteLength > 0 && { ticketId, attempt }),
    ttlMs: Number(ttlMs),
    ...(waitMs !== undefined && { waitMs: Number(waitMs) }),
    owner,
  };
}

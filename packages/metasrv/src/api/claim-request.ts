import { LockMode, type LockRequest } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import type { ClaimRequest } from "../node/claim.js";

/** The modes that this version knows; a newer caller may send others. */
const modes: ReadonlySet<LockMode> = new Set([LockMode.UNSPECIFIED, LockMode.EXCLUSIVE]);

/**
 * Reads what a caller asks for. Numbers above 2^53 become inexact here; the node checks their range.
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

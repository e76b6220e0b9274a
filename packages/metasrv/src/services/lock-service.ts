import type { ServiceImpl } from "@connectrpc/connect";
import { LockMode, type LockRequest, type LockService } from "@metasrv/proto/metasrv/v1";
import type { ClaimRequest } from "../locks/claim.js";
import { LockError } from "../locks/lock-errors.js";
import { awaitClaim } from "./await-claim.js";
import type { Locks } from "./locks.js";

/** The unary calls of `metasrv.v1.LockService`, each a thin caller of the lock store. */
export function createLockService(locks: Locks) {
  return {
    async lock(request, context) {
      const outcome = await awaitClaim(locks, claimRequest(request), context);
      if (outcome.kind === "refused") {
        return { outcome: { case: "refused", value: { state: outcome.state } } };
      }
      const { key, token, ttlMs, waitedMs } = outcome.grant;
      return { outcome: { case: "granted", value: { key, token, ttlMs: BigInt(ttlMs), waitedMs } } };
    },

    async unlock({ key }) {
      await locks.unlock(key);
      return {};
    },

    async renew({ key, ttlMs }) {
      const renewed = await locks.renew(key, Number(ttlMs));
      return { ttlMs: BigInt(renewed.ttlMs) };
    },
  } satisfies ServiceImpl<typeof LockService>;
}

const utf8 = new TextEncoder();

/** The modes known here; a newer caller may send others. */
const modes: ReadonlySet<LockMode> = new Set([LockMode.UNSPECIFIED, LockMode.EXCLUSIVE]);

/** Beyond 2^53 a number is no longer exact, but still far out of every range that the store allows. */
function claimRequest(request: LockRequest): ClaimRequest {
  if (!modes.has(request.mode)) {
    throw new LockError("invalid-mode", `mode is ${request.mode}; give LOCK_MODE_EXCLUSIVE, or none`);
  }
  const { lock, ticketId, ttlMs, waitMs, owner } = request;
  return {
    name: lock.case === "name" ? utf8.encode(lock.value) : (lock.value ?? new Uint8Array()),
    ...(ticketId.byteLength > 0 && { ticketId }),
    ttlMs: Number(ttlMs),
    ...(waitMs !== undefined && { waitMs: Number(waitMs) }),
    owner,
  };
}

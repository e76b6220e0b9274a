import type {
  LockRequest,
  LockResponse,
  RenewRequest,
  RenewResponse,
  UnlockRequest,
  UnlockResponse,
} from "@metasrv/proto/metasrv/v1";
import { awaitClaim } from "./await-claim.js";
import type { Caller } from "./caller.js";
import { claimRequest, grantMessage, refusalMessage, renewalOf } from "./claim-messages.js";
import type { Locks } from "./locks.js";

/**
 * The unary calls of `metasrv.v1.LockService`, by whatever protocol they come. Each translates between messages and the
 * node, and does nothing else.
 */
export interface LockCalls {
  readonly lock: (request: LockRequest, caller: Caller) => Promise<LockResponse>;
  readonly unlock: (request: UnlockRequest) => Promise<UnlockResponse>;
  readonly renew: (request: RenewRequest) => Promise<RenewResponse>;
}

/** Makes them. */
export function createLockCalls(locks: Locks): LockCalls {
  return {
    async lock(request, caller) {
      const outcome = await awaitClaim(locks, claimRequest(request), caller);
      return {
        $typeName: "metasrv.v1.LockResponse",
        outcome:
          outcome.kind === "granted"
            ? { case: "granted", value: grantMessage(outcome.grant) }
            : { case: "refused", value: refusalMessage(outcome.state) },
      };
    },

    async unlock({ key }) {
      await locks.unlock(key);
      return { $typeName: "metasrv.v1.UnlockResponse" };
    },

    async renew(request) {
      const ttlMs = await locks.renew(request.key, renewalOf(request));
      return { $typeName: "metasrv.v1.RenewResponse", ttlMs: BigInt(ttlMs) };
    },
  };
}

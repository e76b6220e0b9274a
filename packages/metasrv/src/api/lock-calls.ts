import type {
  LockRequest,
  LockResponse,
  RenewRequest,
  RenewResponse,
  UnlockRequest,
  UnlockResponse,
} from "@metasrv/proto/metasrv/v1";
import type { Access } from "./access.js";
import { awaitClaim } from "./await-claim.js";
import type { Caller, Origin } from "./caller.js";
import { claimRequest, grantMessage, refusalMessage, renewalOf } from "./claim-messages.js";

/**
 * The unary calls of `metasrv.v1.LockService`, by whatever protocol they come. Each translates between messages and the
 * node, and does nothing else.
 */
export interface LockCalls {
  readonly lock: (request: LockRequest, caller: Caller) => Promise<LockResponse>;
  readonly unlock: (request: UnlockRequest, origin: Origin) => Promise<UnlockResponse>;
  readonly renew: (request: RenewRequest, origin: Origin) => Promise<RenewResponse>;
}

/** Makes them. */
export function createLockCalls(access: Access): LockCalls {
  return {
    async lock(request, caller) {
      const outcome = await awaitClaim(access.of(caller).locks, claimRequest(request, caller.traceparent), caller);
      return {
        $typeName: "metasrv.v1.LockResponse",
        outcome:
          outcome.kind === "granted"
            ? { case: "granted", value: grantMessage(outcome.grant) }
            : { case: "refused", value: refusalMessage(outcome.state) },
      };
    },

    async unlock({ key }, origin) {
      await access.of(origin).locks.unlock(key);
      return { $typeName: "metasrv.v1.UnlockResponse" };
    },

    async renew(request, origin) {
      const ttlMs = await access.of(origin).locks.renew(request.key, renewalOf(request));
      return { $typeName: "metasrv.v1.RenewResponse", ttlMs: BigInt(ttlMs) };
    },
  };
}

import type { ServiceImpl } from "@connectrpc/connect";
import type { Lock, LockRequest, LockResponse, UnlockRequest, UnlockResponse } from "@metasrv/proto/greptime/v1/meta";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import type { Access } from "./access.js";
import { awaitClaim } from "./await-claim.js";
import { type Caller, callerOf, type Origin, originOf } from "./caller.js";

const header: LockResponse["header"] = { $typeName: "greptime.v1.meta.ResponseHeader", protocolVersion: 1n };

/**
 * The calls of the original contract, `greptime.v1.meta.Lock`. `lock` waits as long as its caller does, and the lock is
 * never renewed. `unlock` succeeds also for a lock that has expired or was released before.
 */
export interface GreptimeLockCalls {
  readonly lock: (request: LockRequest, caller: Caller) => Promise<LockResponse>;
  readonly unlock: (request: UnlockRequest, origin: Origin) => Promise<UnlockResponse>;
}

/** The calls as a service of Connect. */
export function createGreptimeLockService(access: Access, limits: Limits) {
  const { lock, unlock } = createGreptimeLockCalls(access, limits);
  return {
    lock: (request, context) => lock(request, callerOf(context)),
    unlock: (request, context) => unlock(request, originOf(context)),
  } satisfies ServiceImpl<typeof Lock>;
}

/** Makes the calls. */
export function createGreptimeLockCalls(access: Access, limits: Limits): GreptimeLockCalls {
  return {
    async lock({ name, expireSecs }, caller) {
      const { locks } = access.of(caller);
      const outcome = await awaitClaim(locks, { name, ttlMs: ttlMsFrom(expireSecs, limits) }, caller);
      if (outcome.kind === "refused") {
        throw new Error("a claim that waits was refused");
      }
      return { $typeName: "greptime.v1.meta.LockResponse", header, key: outcome.grant.key };
    },

    async unlock({ key }, origin) {
      const { locks } = access.of(origin);
      try {
        await locks.unlock(key);
      } catch (error) {
        if (!(error instanceof LockError && (error.reason === "not-held" || error.reason === "forced"))) {
          throw error;
        }
      }
      return { $typeName: "greptime.v1.meta.UnlockResponse", header };
    },
  };
}

/** Checks the TTL before the node does, so that the message names the field that the caller set, in its unit. */
function ttlMsFrom(expireSecs: bigint, limits: Limits): number {
  const min = Math.ceil(limits.minTtlMs / 1000);
  const max = Math.floor(limits.maxTtlMs / 1000);
  if (expireSecs !== 0n && (expireSecs < min || expireSecs > max)) {
    throw new LockError(
      "invalid-ttl",
      `expire_secs is ${expireSecs.toString()}; expected ${min} to ${max} seconds, or 0 for the default of ` +
        `${limits.defaultTtlMs / 1000} seconds`,
    );
  }
  return Number(expireSecs) * 1000;
}

import type { Grant, Refusal } from "@metasrv/proto/metasrv/v1";
import type { LockState } from "../model/lock-errors.js";
import type { Grant as NodeGrant } from "../node/claim.js";

/** A grant, as it is sent. */
export function grantMessage({ key, token, ttlMs, waitedMs }: NodeGrant): Grant {
  return { $typeName: "metasrv.v1.Grant", key, token, ttlMs: BigInt(ttlMs), waitedMs };
}

/** A refusal, as it is sent. */
export function refusalMessage({ holderOwner, holderToken, waiters }: LockState): Refusal {
  return {
    $typeName: "metasrv.v1.Refusal",
    state: { $typeName: "metasrv.v1.LockState", holderOwner, holderToken, waiters },
  };
}

import type { Grant, LockState as LockStateMessage, Refusal } from "@metasrv/proto/metasrv/v1";
import type { LockState } from "../model/lock-errors.js";
import { noLimit } from "../model/share.js";
import type { Grant as NodeGrant } from "../node/claim.js";

/** A grant, as it is sent. */
export function grantMessage({ key, token, ttlMs, waitedMs, floor, limit }: NodeGrant): Grant {
  const shownLimit = limit === 1 || limit === noLimit ? 0 : limit;
  return { $typeName: "metasrv.v1.Grant", key, token, ttlMs: BigInt(ttlMs), waitedMs, floor, limit: shownLimit };
}

/** A refusal, as it is sent. */
export function refusalMessage(state: LockState): Refusal {
  return { $typeName: "metasrv.v1.Refusal", state: stateMessage(state) };
}

/** Who stands in the way of a lock, as it is sent. */
export function stateMessage(state: LockState): LockStateMessage {
  return {
    ...state,
    $typeName: "metasrv.v1.LockState",
    holders: state.holders.map((holder) => ({
      ...holder,
      $typeName: "metasrv.v1.Holder",
      heldMs: BigInt(Math.max(0, Math.floor(holder.heldMs))),
    })),
  };
}

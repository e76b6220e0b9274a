import type { Grant, LockState as LockStateMessage, Refusal } from "@metasrv/proto/metasrv/v1";
import type { LockState } from "../model/lock-errors.js";
import { type LockName, lockNameBytes } from "../model/lock-name.js";
import { noLimit } from "../model/share.js";
import type { Grant as NodeGrant } from "../node/claim.js";

/** A grant, as it is sent. */
export function grantMessage({ key, token, ttlMs, waitedMs, floor, limit, parts }: NodeGrant): Grant {
  return {
    $typeName: "metasrv.v1.Grant",
    key,
    token,
    ttlMs: BigInt(ttlMs),
    waitedMs,
    floor,
    limit: shownLimit(limit),
    parts: parts.map((part) => {
      return { $typeName: "metasrv.v1.PartGrant", floor: part.floor, limit: shownLimit(part.limit) };
    }),
  };
}

/** Only of a semaphore. */
function shownLimit(limit: number): number {
  return limit === 1 || limit === noLimit ? 0 : limit;
}

/** A refusal, as it is sent. */
export function refusalMessage(state: LockState): Refusal {
  return { $typeName: "metasrv.v1.Refusal", state: stateMessage(state) };
}

/** Who stands in the way of a lock, as it is sent. */
export function stateMessage({ name, ...state }: LockState): LockStateMessage {
  return {
    ...state,
    $typeName: "metasrv.v1.LockState",
    lock: name === undefined ? { case: undefined } : wireName(name),
    holders: state.holders.map((holder) => ({
      ...holder,
      $typeName: "metasrv.v1.Holder",
      heldMs: BigInt(Math.max(0, Math.floor(holder.heldMs))),
    })),
  };
}

/** How a lock is named on the wire: as a text where its bytes are UTF-8, as such a text names the same lock; else as bytes. */
export function wireName(
  name: LockName,
): { readonly case: "name"; readonly value: string } | { readonly case: "nameBytes"; readonly value: Uint8Array } {
  const bytes = lockNameBytes(name);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes)
    ? { case: "name", value: text }
    : { case: "nameBytes", value: new Uint8Array(bytes) };
}

import type { LockState } from "../model/lock-errors.js";
import type { ClaimRequest, Grant } from "../node/claim.js";
import type { Caller } from "./caller.js";
import type { Locks } from "./locks.js";

/** The outcome of a claim that does not fail. */
export type ClaimOutcome =
  { readonly kind: "granted"; readonly grant: Grant } | { readonly kind: "refused"; readonly state: LockState };

/**
 * Makes a claim for the caller of an RPC and waits for its outcome, as long as the caller waits.
 *
 * A caller that gives up, or whose deadline passes, leaves nothing behind. A caller whose connection breaks keeps its
 * place for the grace if it chose the ticket id, and so can ask again.
 *
 * @throws LockError what the node answers; `wait-timed-out` when the call's deadline passes; `canceled` when the caller
 *   is gone
 */
export async function awaitClaim(locks: Locks, request: ClaimRequest, caller: Caller): Promise<ClaimOutcome> {
  const goneBefore = caller.gone();
  if (goneBefore !== undefined) {
    throw goneBefore;
  }
  const resumable = request.ticketId !== undefined;
  const outcome = await new Promise<ClaimOutcome>((resolve, reject) => {
    const claim = locks.claim(request, {
      granted: (grant) => {
        caller.onGone = undefined;
        resolve({ kind: "granted", grant });
      },
      refused: (state) => {
        caller.onGone = undefined;
        resolve({ kind: "refused", state });
      },
      failed: (error) => {
        caller.onGone = undefined;
        reject(error);
      },
    });
    caller.onGone = (reason) => {
      if (resumable && caller.disconnected()) {
        claim.detach();
      } else {
        claim.cancel();
      }
      reject(reason);
    };
  });
  const gone = caller.gone();
  if (outcome.kind === "granted" && gone !== undefined && !resumable) {
    // Nobody will ever learn this key, so the lock would only block others until its TTL passes.
    await locks.unlock(outcome.grant.key);
    throw gone;
  }
  return outcome;
}

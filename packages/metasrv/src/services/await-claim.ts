import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { ClaimRequest, Grant } from "../locks/claim.js";
import { LockError, type LockState } from "../locks/lock-errors.js";
import { callerKey } from "./caller.js";
import type { Locks } from "./locks.js";

/** What becomes of a claim that does not fail. */
export type ClaimOutcome =
  { readonly kind: "granted"; readonly grant: Grant } | { readonly kind: "refused"; readonly state: LockState };

/**
 * Makes a claim for the caller of an RPC and waits for its outcome, for as long as the caller does.
 *
 * A caller that gives up, or whose deadline passes, leaves nothing behind. One whose connection broke keeps its place for
 * the grace if it chose its ticket id, and so can ask again.
 *
 * @throws LockError what the store says; `wait-timed-out` when the call's deadline passes, `canceled` when the caller is
 *   gone
 */
export async function awaitClaim(locks: Locks, request: ClaimRequest, context: HandlerContext): Promise<ClaimOutcome> {
  const { signal } = context;
  const isGone = () => signal.aborted;
  if (isGone()) {
    throw callerGone(signal.reason);
  }
  const outcome = await new Promise<ClaimOutcome>((resolve, reject) => {
    const onAbort = () => {
      if (request.ticketId !== undefined && context.values.get(callerKey).disconnected()) {
        claim.detach();
      } else {
        claim.cancel();
      }
      reject(callerGone(signal.reason));
    };
    // Connect aborts the signal also when the call is complete: from the outcome on, it says nothing any more.
    const settled = () => {
      signal.removeEventListener("abort", onAbort);
    };
    const claim = locks.claim(request, {
      granted: (grant) => {
        settled();
        resolve({ kind: "granted", grant });
      },
      refused: (state) => {
        settled();
        resolve({ kind: "refused", state });
      },
      failed: (error) => {
        settled();
        reject(error);
      },
      lost: () => {
        // A unary answer cannot tell of it; the caller's next renewal or unlock does.
      },
    });
    signal.addEventListener("abort", onAbort);
  });
  if (outcome.kind === "granted" && isGone() && request.ticketId === undefined) {
    // Nobody will ever learn this key, so the lock would only be in the way until its TTL passes.
    await locks.unlock(outcome.grant.key);
    throw callerGone(signal.reason);
  }
  return outcome;
}

function callerGone(reason: unknown): LockError {
  if (reason instanceof LockError) {
    return reason;
  }
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded
    ? new LockError(
        "wait-timed-out",
        "the deadline of the call passed before the lock was granted; allow the call more time, or wait less with wait_ms",
      )
    : new LockError("canceled", "the caller gave the request up before the lock was granted");
}

import type { LockRequest } from "@metasrv/proto/metasrv/v1";
import type { Cancellation } from "./cancellation.js";
import type { LockOutcome, Renewed } from "./grant.js";
import type { Holding } from "./holding.js";
import type { Member } from "./member.js";

/**
 * The way to one endpoint: the seam between what calls mean and how they travel. It asks each request once; repeating
 * and choosing endpoints is done above it, waiting and expiry are understood above it.
 *
 * Every method rejects with the reason once its scope is cancelled, in which case the server is told that the request is
 * not wanted any more; with an `EndpointFailure` when another endpoint may serve the request; and with a `MetaError` when
 * the server's answer is an error.
 */
export interface LockChannel {
  /** The endpoint's URL, as configured. */
  readonly endpoint: string;
  /**
   * Waits as long as the request says and the server lives. A grant that crosses a withdrawal on its way is given back,
   * or ends with its TTL.
   */
  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome>;
  unlock(holding: Holding, scope: Cancellation): Promise<void>;
  /** @param ttlMs - a new TTL in milliseconds */
  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed>;
  /** Asks which servers there are. */
  members(scope: Cancellation): Promise<readonly Member[]>;
  /** Is told which servers there are, and again whenever that has changed, until it rejects. Does not keep the process alive. */
  watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never>;
  /**
   * Other endpoints are used from now on. `"now"`, because the server is about to stop: what waits here rejects with an
   * `EndpointFailure` at once, and locks are told to be `unwatched`. `"at leisure"`: both stay as long as they last. What is
   * asked all the same is still answered. Resolves when nothing is left here; never rejects.
   */
  leave(when: "now" | "at leisure"): Promise<void>;
  /**
   * Ends the connection; what is under way rejects with an `EndpointFailure`. Never rejects.
   *
   * @param withinMs - how long the server may take to hear of it
   */
  close(withinMs: number): Promise<void>;
}

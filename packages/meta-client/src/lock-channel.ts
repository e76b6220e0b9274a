import type {
  LockRequest,
  LockResponse,
  RenewRequest,
  RenewResponse,
  UnlockRequest,
  UnlockResponse,
} from "@metasrv/proto/metasrv/v1";

/** A server's answer. */
export interface Answer<T> {
  readonly message: T;
  /**
   * When the request that was answered left, on the client's clock: not later than its receipt by the server. The
   * validity of a grant or renewal counts from here.
   */
  readonly sentAtMs: number;
}

/**
 * The way to one endpoint: the seam between what calls mean and how they travel. It asks each request once; repeating
 * and choosing endpoints is done above it, waiting and expiry are understood above it.
 *
 * Every method rejects with the signal's reason once that has aborted, in which case the server is told that the request
 * is not wanted any more; with an `EndpointFailure` when another endpoint may serve the request; and with a `MetaError`
 * when the server's answer is an error.
 */
export interface LockChannel {
  /** The endpoint's URL, as configured. */
  readonly endpoint: string;
  /**
   * Waits as long as the request says and the server lives. A grant that crosses a withdrawal on its way is lost to the
   * client, and ends with its TTL.
   */
  lock(request: LockRequest, signal: AbortSignal): Promise<Answer<LockResponse>>;
  unlock(request: UnlockRequest, signal: AbortSignal): Promise<Answer<UnlockResponse>>;
  renew(request: RenewRequest, signal: AbortSignal): Promise<Answer<RenewResponse>>;
  /** Ends the connection; what is under way rejects with an `EndpointFailure`. */
  close(): void;
}

import type { BackoffOptions } from "@metasrv/wire";

/** The durations for calls and connections, in milliseconds. They cannot be configured; tests shorten them. */
export interface Timing {
  /** How long making a connection may take. */
  readonly connectTimeoutMs: number;
  /**
   * How long a stream both ways may remain without an answer until the first session of an endpoint is tried the other way
   * as well.
   */
  readonly carrierPatienceMs: number;
  /** After how long without an answer a bundle of requests that goes in a call of its own is repeated. */
  readonly sendTimeoutMs: number;
  /** How often the server of an open call is pinged. */
  readonly pingIntervalMs: number;
  /** How long the answer to a ping may take. */
  readonly pingTimeoutMs: number;
  /** How long an attempt may take, unless it waits for a lock. */
  readonly attemptTimeoutMs: number;
  /** How long after `waitMs` the client still waits for the server to say that the wait is over. */
  readonly waitSlackMs: number;
  /** How long `close()` waits for locks to be released. */
  readonly closeReleaseMs: number;
  /** Pauses between rounds over all endpoints. */
  readonly backoff: BackoffOptions;
  /** How long an endpoint that failed is not tried first. */
  readonly coolDown: BackoffOptions;
  /** Pauses before members are asked for again. */
  readonly discovery: BackoffOptions;
  /** The longest time between a member's joining and the moment at which this client reaches it. */
  readonly joinSpreadMs: number;
}

/** The durations outside tests. */
export const defaultTiming: Timing = {
  // One SYN may be lost, and a ping and its answer may cross the world.
  connectTimeoutMs: 3_000,
  carrierPatienceMs: 400,
  // A server gives up a client that it does not hear for 6 s, unless configured otherwise.
  sendTimeoutMs: 2_000,
  pingIntervalMs: 4_000,
  pingTimeoutMs: 2_000,
  attemptTimeoutMs: 5_000,
  waitSlackMs: 500,
  closeReleaseMs: 1_000,
  backoff: { initialMs: 50, maxMs: 1_000 },
  coolDown: { initialMs: 1_000, maxMs: 30_000 },
  discovery: { initialMs: 200, maxMs: 30_000 },
  joinSpreadMs: 1_000,
};

import type { BackoffOptions } from "@metasrv/wire";

/** The durations that rule calls and connections, in milliseconds. Not configurable; tests shorten them. */
export interface Timing {
  /** How long making a connection may take. */
  readonly connectTimeoutMs: number;
  /** How often a server with open calls is asked for a sign of life. */
  readonly pingIntervalMs: number;
  /** How long it may take to give one. */
  readonly pingTimeoutMs: number;
  /** How long an attempt may take that does not wait for a lock. */
  readonly attemptTimeoutMs: number;
  /** How long after `waitMs` the client stops waiting for a server to say that it has passed. */
  readonly waitSlackMs: number;
  /** How long `close()` waits for locks to be released. */
  readonly closeReleaseMs: number;
  /** Pauses between rounds over all endpoints. */
  readonly backoff: BackoffOptions;
  /** How long an endpoint that failed is not the first to be tried. */
  readonly coolDown: BackoffOptions;
  /** Pauses before the members are asked for again. */
  readonly discovery: BackoffOptions;
  /** How long after a member's joining it may take until this client reaches it. */
  readonly joinSpreadMs: number;
}

/** What holds outside tests. */
export const defaultTiming: Timing = {
  // One SYN may be lost, and ping and pong cross the world.
  connectTimeoutMs: 3_000,
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

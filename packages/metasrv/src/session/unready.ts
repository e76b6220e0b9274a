import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Readiness } from "../api/readiness.js";
import { LockError } from "../model/lock-errors.js";
import type { OpenSessions } from "./open-sessions.js";

export interface SendAwayOptions {
  readonly readiness: Readiness;
  readonly sessions: OpenSessions;
  /** Whether there are other servers. */
  readonly hasPeers: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The least time between two times that a server sends its clients away, in milliseconds. Without it, a store that is
 * slow for all servers would send clients round and round.
 */
const atMostEveryMs = 30_000;

/**
 * Sends the clients of sessions to other servers when this one has come to serve badly, such as when it is cut off from
 * the store. If all servers serve badly, each sends its clients away once. Every client has then asked all servers, and
 * the first one that serves again serves it.
 *
 * @returns a function that ends this
 */
export function sendAwayWhenUnready({ readiness, sessions, hasPeers, clock, logger }: SendAwayOptions): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return readiness.watch(() => {
    if (readiness.ready || sessions.draining || !hasPeers() || clock.now() - lastMs < atMostEveryMs) {
      return;
    }
    lastMs = clock.now();
    const problems = readiness.problems();
    logger.warn({ sessions: sessions.size, problems }, "not ready: sending clients to other servers");
    sessions.sendAway(
      new LockError(
        "store-unavailable",
        `this server does not serve well now: ${problems.join("; ")}; ask another one`,
      ),
    );
  });
}

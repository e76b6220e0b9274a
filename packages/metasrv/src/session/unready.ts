import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Readiness } from "../api/readiness.js";
import { LockError } from "../model/lock-errors.js";
import type { OpenSessions } from "./open-sessions.js";

/** What is needed to send clients away. */
export interface SendAwayOptions {
  readonly readiness: Readiness;
  readonly sessions: OpenSessions;
  /** Whether there are other servers. */
  readonly hasPeers: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** So that a store which is slow for all servers does not make their clients go round and round, in milliseconds. */
const atMostEveryMs = 30_000;

/**
 * Sends the clients of sessions to other servers when this one has come to serve badly, as when it is cut off from the
 * store. Where all servers are, each does so once: a client has then asked all of them, and is served by the first that
 * serves again.
 *
 * @returns what ends it
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

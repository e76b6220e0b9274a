import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Cluster, Locks, Operated } from "../api/locks.js";
import type { Readiness } from "../api/readiness.js";
import type { Limits } from "../model/limits.js";
import type { OpenSessions } from "./open-sessions.js";

/** What the services use. */
export interface ServiceDependencies {
  readonly locks: Locks;
  readonly cluster: Cluster;
  readonly operated: Operated;
  readonly sessions: OpenSessions;
  readonly readiness: Readiness;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
}

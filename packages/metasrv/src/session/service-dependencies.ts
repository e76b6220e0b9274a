import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Access } from "../api/access.js";
import type { Cluster } from "../api/locks.js";
import type { Readiness } from "../api/readiness.js";
import type { Limits } from "../model/limits.js";
import type { OpenSessions } from "./open-sessions.js";

/** What the services use. */
export interface ServiceDependencies {
  readonly access: Access;
  readonly cluster: Cluster;
  readonly sessions: OpenSessions;
  readonly readiness: Readiness;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
}

import type { ConnectRouter } from "@connectrpc/connect";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { Health } from "@metasrv/proto/grpc/health/v1";
import { ServerReflection } from "@metasrv/proto/grpc/reflection/v1";
import { ClusterService, LockService } from "@metasrv/proto/metasrv/v1";
import type { Logger } from "pino";
import type { Clock } from "@metasrv/wire";
import type { Limits } from "../model/limits.js";
import { createClusterService } from "./cluster-service.js";
import { createGreptimeLockService } from "./greptime-lock-service.js";
import { createHealthService } from "./health-service.js";
import { createLockService } from "./lock-service.js";
import type { Cluster, Locks } from "./locks.js";
import type { OpenSessions } from "./open-sessions.js";
import type { Readiness } from "./readiness.js";
import { createReflectionService } from "./reflection-service.js";
import { createRequestInterceptor } from "./request-interceptor.js";

/** What the services are made of. */
export interface ServiceDependencies {
  readonly locks: Locks;
  readonly cluster: Cluster;
  readonly sessions: OpenSessions;
  readonly readiness: Readiness;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Registers every service of this server, for a listener or, in tests, for `createRouterTransport`. */
export function createRoutes(dependencies: ServiceDependencies): (router: ConnectRouter) => void {
  const { locks, cluster, readiness, limits } = dependencies;
  const services = [LockService, ClusterService, Lock];
  const options = {
    interceptors: [createRequestInterceptor(dependencies)],
    readMaxBytes: limits.maxMessageBytes,
    // A misspelt field must not mean "wait without end".
    jsonOptions: { ignoreUnknownFields: false },
  };
  return (router) => {
    router.service(LockService, createLockService(dependencies), options);
    router.service(ClusterService, createClusterService(cluster), options);
    router.service(Lock, createGreptimeLockService(locks, limits), options);
    const names = services.map(({ typeName }) => typeName);
    router.service(Health, createHealthService(readiness, names), options);
    router.service(ServerReflection, createReflectionService([...services, Health, ServerReflection]), options);
  };
}

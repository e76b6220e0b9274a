import type { ConnectRouter } from "@connectrpc/connect";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { Health } from "@metasrv/proto/grpc/health/v1";
import { ServerReflection } from "@metasrv/proto/grpc/reflection/v1";
import { AdminService, ClusterService, InspectService, LockService } from "@metasrv/proto/metasrv/v1";
import { createAdminService } from "../api/admin-service.js";
import { createClusterService } from "../api/cluster-service.js";
import { createGreptimeLockService } from "../api/greptime-lock-service.js";
import { createHealthService } from "../api/health-service.js";
import { createInspectService } from "../api/inspect-service.js";
import { createReflectionService } from "../api/reflection-service.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { createLockService } from "./lock-service.js";
import { createRequestInterceptor } from "./request-interceptor.js";

/** The services that show nothing of locks, and serve those who show nothing of themselves. */
export const publicServices: ReadonlySet<string> = new Set(
  [ClusterService, Health, ServerReflection].map(({ typeName }) => typeName),
);

/** Registers every service of this server, for a listener or, in tests, for `createRouterTransport`. */
export function createRoutes(dependencies: ServiceDependencies): (router: ConnectRouter) => void {
  const { access, cluster, readiness, limits } = dependencies;
  const services = [LockService, ClusterService, InspectService, AdminService, Lock];
  const options = {
    interceptors: [createRequestInterceptor(dependencies)],
    readMaxBytes: limits.maxMessageBytes,
    // A misspelt field must not mean "wait without end".
    jsonOptions: { ignoreUnknownFields: false },
  };
  return (router) => {
    router.service(LockService, createLockService(dependencies), options);
    router.service(ClusterService, createClusterService(cluster), options);
    router.service(InspectService, createInspectService(access), options);
    router.service(AdminService, createAdminService(access), options);
    router.service(Lock, createGreptimeLockService(access, limits), options);
    const names = services.map(({ typeName }) => typeName);
    router.service(Health, createHealthService(readiness, names), options);
    router.service(ServerReflection, createReflectionService([...services, Health, ServerReflection]), options);
  };
}

import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@metasrv/proto/grpc/health/v1";
import { latest } from "./latest.js";
import type { Readiness } from "./readiness.js";

/**
 * `grpc.health.v1.Health`. All services depend on the same things, so either all of them are ready or none is.
 *
 * @param names - full names of the services that have a status, besides the server as a whole
 */
export function createHealthService(readiness: Readiness, names: readonly string[]) {
  const known: ReadonlySet<string> = new Set(["", ...names]);

  function statusOf(service: string): HealthCheckResponse {
    const status = readiness.ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    return {
      $typeName: "grpc.health.v1.HealthCheckResponse",
      status: known.has(service) ? status : ServingStatus.SERVICE_UNKNOWN,
    };
  }

  return {
    check({ service }) {
      if (!known.has(service)) {
        throw new ConnectError(
          `there is no service "${service}"; ask for one of ${names.join(", ")}, or for "", the server as a whole`,
          Code.NotFound,
        );
      }
      return statusOf(service);
    },

    list: () => ({ statuses: Object.fromEntries([...known].map((service) => [service, statusOf(service)])) }),

    watch: ({ service }, { signal }) =>
      latest({ read: () => statusOf(service), watch: (changed) => readiness.watch(changed) }, signal),
  } satisfies ServiceImpl<typeof Health>;
}

import type { Interceptor } from "@connectrpc/connect";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { farEndKey } from "../api/caller.js";
import { ConnectionUse, useOf } from "../api/connection-use.js";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";

/**
 * Bounds how many watches there are: calls whose answers go on for as long as the caller likes, such as `Health.Watch` and
 * `WatchLocks`. Sessions have limits of their own.
 *
 * @throws LockError `too-many-streams`
 */
export function createWatchInterceptor({
  maxConnectionWatches,
  maxWatches,
}: Pick<Limits, "maxConnectionWatches" | "maxWatches">): Interceptor {
  let watches = 0;
  return (next) => (request) => {
    if (!request.stream || request.service.typeName === LockService.typeName) {
      return next(request);
    }
    const { connection } = request.contextValues.get(farEndKey);
    const use = connection === undefined ? new ConnectionUse() : useOf(connection);
    if (use.watches >= maxConnectionWatches) {
      throw new LockError(
        "too-many-streams",
        `this connection has ${maxConnectionWatches} watches already, as many as it may; end some, or use another connection`,
      );
    }
    if (watches >= maxWatches) {
      throw new LockError(
        "too-many-streams",
        `this server has ${maxWatches} watches already, as many as it may; ask another server, or raise the limit`,
      );
    }
    watches++;
    use.watches++;
    // Connect aborts the signal of every call that has ended, however it did.
    request.signal.addEventListener("abort", () => {
      watches--;
      use.watches--;
    });
    return next(request);
  };
}

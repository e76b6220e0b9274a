import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { LockService } from "@metasrv/proto/metasrv/v1";
import { callerOf, farEndKey, originOf } from "../api/caller.js";
import { createLockCalls } from "../api/lock-calls.js";
import { serveAttach } from "../session/attached-session.js";
import { Attachments } from "../session/attachments.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { type ResponseStream, serveSession } from "../session/session-iterable.js";

/** `metasrv.v1.LockService`, as Connect serves it. */
export function createLockService(dependencies: ServiceDependencies) {
  const { lock, unlock, renew } = createLockCalls(dependencies.access);
  const attachments = new Attachments(dependencies.limits);
  return {
    lock: (request, context) => lock(request, callerOf(context)),
    unlock: (request, context) => unlock(request, originOf(context)),
    renew: (request, context) => renew(request, originOf(context)),
    session: (requests, context) => serveSession(dependencies, requests, streamOf(context)),
    attach: (_request, context) => serveAttach(dependencies, attachments, streamOf(context)),
    async send(request, context) {
      await attachments.send(request, dependencies.access.of(originOf(context)).identity);
      return {};
    },
  } satisfies ServiceImpl<typeof LockService>;
}

function streamOf(context: HandlerContext): ResponseStream {
  return { origin: originOf(context), farEnd: context.values.get(farEndKey), signal: context.signal };
}

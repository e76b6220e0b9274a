import type { ServiceImpl } from "@connectrpc/connect";
import type { LockService } from "@metasrv/proto/metasrv/v1";
import { callerOf, farEndKey } from "../api/caller.js";
import { createLockCalls } from "../api/lock-calls.js";
import { serveAttach } from "../session/attached-session.js";
import { Attachments } from "../session/attachments.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { serveSession } from "../session/session-iterable.js";

/** `metasrv.v1.LockService`, as Connect serves it. */
export function createLockService(dependencies: ServiceDependencies) {
  const { lock, unlock, renew } = createLockCalls(dependencies.locks);
  const attachments = new Attachments(dependencies.limits);
  return {
    lock: (request, context) => lock(request, callerOf(context)),
    unlock,
    renew,
    session: (requests, { values, signal }) =>
      serveSession(dependencies, requests, { farEnd: values.get(farEndKey), signal }),
    attach: (_request, { values, signal }) =>
      serveAttach(dependencies, attachments, { farEnd: values.get(farEndKey), signal }),
    async send(request) {
      await attachments.send(request);
      return {};
    },
  } satisfies ServiceImpl<typeof LockService>;
}

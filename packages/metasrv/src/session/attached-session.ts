import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AttachResponseSchema } from "@metasrv/proto/metasrv/v1";
import type { Attachments } from "./attachments.js";
import type { ServiceDependencies } from "./service-dependencies.js";
import { type ResponseStream, sessionResponses } from "./session-iterable.js";

/**
 * Serves a session whose responses go out on a stream, and whose requests come one by one.
 *
 * @throws what the session ends with, the signal's reason, or LockError `too-many-attached`
 */
export async function* serveAttach(
  dependencies: ServiceDependencies,
  attachments: Attachments,
  carrier: ResponseStream,
): AsyncGenerator<MessageInitShape<typeof AttachResponseSchema>> {
  const { identity } = dependencies.access.of(carrier.origin);
  attachments.requireRoom();
  let attachId: Uint8Array | undefined;
  let remove: () => void = () => undefined;
  const responses = sessionResponses(dependencies, carrier, (session, gate) => {
    ({ id: attachId, remove } = attachments.add(session, gate, identity));
    // While nobody reads, this generator rests at a yield, and learns of the end only later.
    carrier.signal.addEventListener("abort", remove);
  });
  try {
    for await (const response of responses) {
      yield attachId === undefined ? { response } : { attachId, response };
      attachId = undefined;
    }
  } finally {
    carrier.signal.removeEventListener("abort", remove);
    remove();
  }
}

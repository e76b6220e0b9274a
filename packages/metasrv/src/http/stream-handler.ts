import { setMaxListeners } from "node:events";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { GrpcCall, isPlainGrpc } from "./grpc-call.js";
import { createGrpcMethods } from "./grpc-methods.js";
import { RequestLog } from "./request-log.js";
import { isPlainSession, serveSessionStream } from "./session-stream.js";

/** Answers the HTTP/2 streams that it knows to handle; of the others it says `false`, and leaves them alone. */
export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

/**
 * Serves the calls on which the load lies, and only where there is nothing unusual about them, directly on their HTTP/2
 * streams. They are answered as Connect answers all others, at a fraction of the cost: without Fetch API objects.
 */
export function createStreamHandler(dependencies: ServiceDependencies, shutdownSignal: AbortSignal): StreamHandler {
  const methods = new Map(createGrpcMethods(dependencies).map((method) => [`/${method.name}`, method]));
  const log = new RequestLog(dependencies);
  setMaxListeners(0, shutdownSignal);
  return (stream, headers) => {
    const method = methods.get(headers[":path"] ?? "");
    if (method !== undefined && isPlainGrpc(headers)) {
      new GrpcCall(dependencies, log, method, stream).serve(headers);
      return true;
    }
    if (isPlainSession(headers)) {
      serveSessionStream(dependencies, { log, shutdownSignal }, stream);
      return true;
    }
    return false;
  };
}

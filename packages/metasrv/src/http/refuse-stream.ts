import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { createEndStreamSerialization, endStreamFlag, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { enveloped } from "@metasrv/wire";

const endSerialization = createEndStreamSerialization(undefined);

/** Answers a stream with an error in the protocol that it speaks, without looking at what it asks for. */
export function refuseStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, error: ConnectError): void {
  const { "content-type": contentType = "" } = headers;
  if (contentType.startsWith("application/grpc")) {
    const status = Object.fromEntries(setTrailerStatus(new Headers(), error));
    stream.respond({ ":status": 200, "content-type": contentType, ...status }, { endStream: true });
  } else if (contentType.startsWith("application/connect+")) {
    stream.respond({ ":status": 200, "content-type": contentType });
    stream.end(enveloped(endSerialization.serialize({ metadata: new Headers(), error }), endStreamFlag));
  } else {
    stream.respond({ ":status": 429, "content-type": "application/json" });
    stream.end(JSON.stringify(errorToJson(error, undefined)));
  }
  // What the client still sends is not read.
  stream.close(constants.NGHTTP2_NO_ERROR);
}

import { constants } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { createEndStreamSerialization, endStreamFlag, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { enveloped } from "@metasrv/wire";
import type { HttpRequest, HttpResponse } from "./http-exchange.js";

const endSerialization = createEndStreamSerialization(undefined);

/** Answers a call with an error in the protocol that it speaks, at a fraction of what it costs to serve it. */
export function refuseCall(request: HttpRequest, response: HttpResponse, error: ConnectError): void {
  const { "content-type": contentType = "" } = request.headers;
  response.setHeader("content-type", contentType);
  if (contentType.startsWith("application/grpc")) {
    setTrailerStatus(new Headers(), error).forEach((value, name) => {
      response.setHeader(name, value);
    });
    response.end();
  } else if (contentType.startsWith("application/connect+")) {
    response.write(enveloped(endSerialization.serialize({ metadata: new Headers(), error }), endStreamFlag));
    response.end();
  } else {
    response.statusCode = 429;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(errorToJson(error, undefined)));
  }
  // What the client still sends is not read.
  if ("stream" in request) {
    request.stream.close(constants.NGHTTP2_NO_ERROR);
  } else {
    request.resume();
  }
}

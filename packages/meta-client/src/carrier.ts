import type { ClientEvents } from "./client-events.js";

/** How a client's session reaches an endpoint. */
export type CarrierKind =
  /** One stream both ways, over HTTP/2. */
  | "stream"
  /** A stream of answers, and requests one by one, over HTTP/2. */
  | "attach-http2"
  /** The same over HTTP/1.1. */
  | "attach-http1";

/** Says for users how an endpoint is reached. */
export function describeCarrier(endpoint: string, kind: CarrierKind, why: string): ClientEvents["connected"] {
  return {
    endpoint,
    carrier: kind === "stream" ? "stream" : "attach",
    httpVersion: kind === "attach-http1" ? "1.1" : "2",
    why,
  };
}

/** nghttp2's word for what is no HTTP/2. */
const protocolError = -505;

/**
 * How an error shows that the other side speaks HTTP/1.1 only; undefined when it does not. Of a connection on which HTTP/2 was
 * spoken before, the first of these says something else.
 */
export function signOfHttp1(error: unknown): string | undefined {
  for (let cause: unknown = error; typeof cause === "object" && cause !== null; cause = (cause as Error).cause) {
    const { errno, code, message } = cause as NodeJS.ErrnoException;
    if (code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL") {
      return "TLS offers no HTTP/2 there";
    }
    if ((code === "ERR_HTTP2_ERROR" && errno === protocolError) || message.includes("HTTP_1_1_REQUIRED")) {
      return "the endpoint answers HTTP/2 in HTTP/1.1";
    }
  }
  return undefined;
}

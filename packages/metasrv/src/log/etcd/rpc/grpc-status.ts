import type { IncomingHttpHeaders } from "node:http2";

/** How a call ended, as gRPC says it. */
export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

/** The status codes that are told apart here. */
export const grpcCode = { ok: 0, unknown: 2, deadlineExceeded: 4, notFound: 5, internal: 13, unavailable: 14 } as const;

const names = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** A status as an error whose message reads "14 UNAVAILABLE: ...". */
export function grpcError({ code, message }: GrpcStatus): Error {
  return new Error(`${code} ${names[code] ?? "UNKNOWN"}: ${message}`);
}

/** The status that headers or trailers carry, if they do; an answer that is none of gRPC has one too. */
export function grpcStatusOf(headers: IncomingHttpHeaders): GrpcStatus | undefined {
  const http = headers[":status"] as unknown as number | undefined;
  const code = headers["grpc-status"];
  if (typeof code === "string") {
    return { code: Number(code), message: decoded(String(headers["grpc-message"] ?? "")) };
  }
  return http === undefined || http === 200
    ? undefined
    : { code: grpcCode.unavailable, message: `answered with HTTP status ${http}: is it etcd that listens there?` };
}

/** gRPC writes its messages percent-encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

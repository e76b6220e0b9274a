import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { SecureContextOptions } from "node:tls";
import { type Clock, closeOutsideOfReading, endOutsideOfReading, enveloped, EnvelopeReader } from "@metasrv/wire";

/** A call with many messages both ways. */
export interface GrpcStream {
  write(message: Buffer): void;
  /** Ends it at once, on both sides, and its connection with it. */
  cancel(): void;
}

/** Is told what comes on a stream; `closed` exactly once, in the end. */
export interface GrpcStreamListener {
  message(message: Buffer): void;
  /** @param error - absent when the far end ended it well */
  closed(error: Error | undefined): void;
}

/** How a connection is set up. */
export interface GrpcConnectionOptions {
  /** Each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  /** For each connection to an https:// host: which authorities are trusted, and the own certificate. */
  readonly tls?: (() => SecureContextOptions) | undefined;
  /** Whether a call that is alone is followed by one of the same kind, which is made ahead. */
  readonly ahead?: boolean;
}

/** How much may be under way to here before it is read, in bytes: HTTP/2's default of 64 KiB is less than one answer. */
const windowBytes = 4 * 1024 * 1024;

/**
 * A connection to one of several gRPC servers, for calls whose messages are written and read by hand. It is made when it
 * is needed first; when it breaks, or a call gets no answer in time, the next call goes to the next server.
 *
 * On Node's own HTTP/2 because that takes less than half the time of grpc-js, for a call alone as for many.
 */
export class GrpcConnection {
  readonly #clock: Clock;
  readonly #urls: readonly string[];
  readonly #tls: (() => SecureContextOptions) | undefined;
  readonly #ahead: boolean;
  /** Index of the server that is connected, or is to be. */
  #server: number;
  #session: ClientHttp2Session | undefined;
  /** How many calls of one message each way are under way. */
  #underWay = 0;
  /** A call that has been made but for its message: see {@link #prepare}. */
  #prepared: PreparedCall | undefined;
  #closed = false;

  constructor({ hosts, clock, tls, ahead = false }: GrpcConnectionOptions) {
    this.#clock = clock;
    this.#tls = tls;
    this.#ahead = ahead;
    this.#urls = hosts.map((host) => (/^https?:\/\//.test(host) ? host : `http://${host}`));
    this.#server = Math.floor(Math.random() * hosts.length);
  }

  /**
   * Makes a call of one message each way.
   *
   * @param path - /package.Service/Method
   * @param timeoutMs - in milliseconds
   * @param token - by which the server knows the caller
   * @returns the answer's message
   * @throws Error with gRPC's status code and message, as in "14 UNAVAILABLE: ..."; its cause is that of a lost connection
   */
  unary(path: string, message: Buffer, timeoutMs: number, token?: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const session = this.#connected();
      const stream = this.#takePrepared(path, token, session) ?? open(session, path, token);
      this.#underWay++;
      let answer: Buffer | undefined;
      let status: GrpcStatus | undefined;
      const timer = this.#clock.after(timeoutMs, () => {
        status ??= { code: grpcCode.deadlineExceeded, message: `no answer within ${Math.ceil(timeoutMs)} ms` };
        stream.close(constants.NGHTTP2_CANCEL);
        // Before there is a connection, no stream closes: for minutes, where packets are lost.
        this.#leave(session);
      });
      let over = false;
      const end = () => {
        timer.cancel();
        this.#underWay -= over ? 0 : 1;
        over = true;
      };
      const answered = () => {
        // The stream closes some turns of the event loop later.
        if (answer !== undefined && status?.code === grpcCode.ok) {
          end();
          resolve(answer);
        }
      };
      follow(stream, {
        message: (bytes) => {
          answer = bytes;
          answered();
        },
        status: (received) => {
          status ??= received;
          answered();
        },
        closed: (broken) => {
          end();
          const { code, message, cause } = status ?? lostConnection(broken);
          if (code === grpcCode.ok && answer !== undefined) {
            return;
          }
          if (code === grpcCode.unavailable || code === grpcCode.deadlineExceeded) {
            this.#leave(session);
          }
          reject(
            grpcError(
              code === grpcCode.ok ? { code: grpcCode.unknown, message: "no message" } : { code, message, cause },
            ),
          );
        },
      });
      stream.end(enveloped(message));
      if (this.#ahead) {
        this.#prepare(path, token);
      }
    });
  }

  /**
   * Opens a stream. It is told of every end, also of one before it was open.
   *
   * @param token - by which the server knows the caller
   */
  stream(path: string, listener: GrpcStreamListener, token?: string): GrpcStream {
    const session = this.#connected();
    const stream = open(session, path, token);
    let status: GrpcStatus | undefined;
    follow(stream, {
      message: (bytes) => {
        listener.message(bytes);
      },
      status: (received) => (status = received),
      closed: (broken) => {
        const end = status ?? lostConnection(broken);
        this.#leave(session);
        listener.closed(end.code === grpcCode.ok ? undefined : grpcError(end));
      },
    });
    stream.on("end", () => {
      // The far end has ended it; until this side has too, it is not closed.
      stream.end();
    });
    return {
      write: (message) => {
        if (stream.writable) {
          stream.write(enveloped(message));
        }
      },
      cancel: () => {
        stream.close(constants.NGHTTP2_CANCEL);
        this.#leave(session);
      },
    };
  }

  /** Ends it, with all calls under way; none is made from then on. */
  close(): void {
    this.#closed = true;
    if (this.#session !== undefined) {
      this.#session.destroy();
      this.#session = undefined;
    }
  }

  #connected(): ClientHttp2Session {
    if (this.#closed) {
      throw grpcError({ code: grpcCode.unavailable, message: "the connection was closed" });
    }
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) {
      return this.#session;
    }
    const session = connect(this.#urls[this.#server] ?? "", {
      settings: { initialWindowSize: windowBytes },
      ...this.#tls?.(),
    });
    this.#session = session;
    endOutsideOfReading(session);
    session.once("connect", () => {
      // Node tells of a connection also when the session was left before there was one.
      if (!session.destroyed) {
        session.setLocalWindowSize(windowBytes);
      }
    });
    session.on("error", () => {
      // Its calls are told.
      this.#leave(session);
    });
    return session;
  }

  /**
   * Makes the next call but for its message, while a call that is alone is under way. That takes Node longer than all else
   * that is done here, and whoever waits for the next call need not wait for it.
   */
  #prepare(path: string, token: string | undefined): void {
    setImmediate(() => {
      const session = this.#session;
      if (
        this.#prepared !== undefined ||
        this.#underWay > 1 ||
        session === undefined ||
        session.closed ||
        session.destroyed
      ) {
        return;
      }
      const stream = open(session, path, token);
      const prepared = { path, token, stream };
      const drop = () => {
        if (this.#prepared === prepared) {
          this.#prepared = undefined;
          stream.close(constants.NGHTTP2_CANCEL);
        }
      };
      stream.on("error", () => undefined);
      // An answer to nothing is no answer to what comes next.
      stream.on("response", drop);
      stream.on("close", drop);
      this.#prepared = prepared;
    });
  }

  #takePrepared(path: string, token: string | undefined, session: ClientHttp2Session): ClientHttp2Stream | undefined {
    const prepared = this.#prepared;
    if (prepared?.path !== path || prepared.stream.session !== session || prepared.stream.closed) {
      return undefined;
    }
    this.#prepared = undefined;
    if (prepared.token !== token) {
      prepared.stream.close(constants.NGHTTP2_CANCEL);
      return undefined;
    }
    return prepared.stream;
  }

  /** The next call goes to the next server. */
  #leave(session: ClientHttp2Session): void {
    if (this.#session === session) {
      this.#session = undefined;
      this.#server = (this.#server + 1) % this.#urls.length;
      session.destroy();
    }
  }
}

interface PreparedCall {
  readonly path: string;
  readonly token: string | undefined;
  readonly stream: ClientHttp2Stream;
}

/** @param token - by which the server knows the caller */
function open(session: ClientHttp2Session, path: string, token: string | undefined): ClientHttp2Stream {
  const stream = session.request(requestHeaders(path, token));
  closeOutsideOfReading(stream);
  return stream;
}

function requestHeaders(path: string, token: string | undefined): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  };
  if (token !== undefined) {
    headers.token = token;
  }
  return headers;
}

interface StreamFollower {
  readonly message: (message: Buffer) => void;
  readonly status: (status: GrpcStatus) => void;
  readonly closed: (broken: Error | undefined) => void;
}

/** Tells of what comes on a stream: its messages, its status if it gets one, and its end. */
function follow(stream: ClientHttp2Stream, follower: StreamFollower): void {
  const reader = new EnvelopeReader();
  // Node keeps streams in a `Map`, which may keep them in memory for long: see HashTable. What they were for must not stay.
  let told: StreamFollower | undefined = follower;
  const onMessage = (message: Buffer) => {
    told?.message(message);
  };
  const onHeaders = (headers: IncomingHttpHeaders) => {
    const status = grpcStatusOf(headers);
    if (status !== undefined) {
      told?.status(status);
    }
  };
  let broken: Error | undefined;
  stream.on("response", onHeaders);
  stream.on("trailers", onHeaders);
  stream.on("data", (chunk: Buffer) => {
    reader.push(chunk, onMessage);
  });
  stream.on("error", (error: Error) => {
    broken = error;
  });
  stream.on("close", () => {
    told?.closed(broken);
    told = undefined;
  });
}

function lostConnection(broken: Error | undefined): GrpcStatus {
  // Of a connection that could not be made, only the cause tells more than that.
  const cause = broken?.cause ?? broken;
  return {
    code: grpcCode.unavailable,
    message: broken?.message ?? "the connection was closed before the answer",
    cause,
  };
}

/** How a call ended, as gRPC says it. */
export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
  /** Why the connection was lost, if it was. */
  readonly cause?: unknown;
}

/** The status codes that are told apart here. */
export const grpcCode = { ok: 0, unknown: 2, deadlineExceeded: 4, internal: 13, unavailable: 14 } as const;

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
export function grpcError({ code, message, cause }: GrpcStatus): Error {
  const text = `${code} ${names[code] ?? "UNKNOWN"}: ${message}`;
  return cause === undefined ? new Error(text) : new Error(text, { cause });
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

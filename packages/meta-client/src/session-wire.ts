import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import * as connectProtocol from "@connectrpc/connect/protocol-connect";
import * as grpcProtocol from "@connectrpc/connect/protocol-grpc";
import { LockService, type SessionResponse, SessionResponseSchema } from "@metasrv/proto/metasrv/v1";
import {
  compressedFlag,
  decode,
  enveloped,
  EnvelopeReader,
  MessageTooLargeError,
  readSessionResponse,
} from "@metasrv/wire";
import type { Connection, Protocol } from "./connection.js";

/** Far more than a server puts into one message. */
const maxMessageBytes = 4 * 1024 * 1024;

/** The stream that carries a session's messages to the server. */
export interface SessionWire {
  /** Whether more can be written now: most of what was written before has left. */
  readonly writable: boolean;
  write(message: Buffer): void;
  /** Ends this side: nothing more is written. */
  end(): void;
  /** Breaks the stream off. The listener is not called after that. */
  cancel(): void;
}

/** Told what comes on a wire. `closed` is called at most once, and last. */
export interface SessionWireListener {
  /** @throws the error with which the wire is closed */
  message(message: SessionResponse): void;
  /** More can be written again. */
  drained(): void;
  /** @param error - absent when the server ended it well */
  closed(error: ConnectError | undefined): void;
}

/** How a protocol opens and ends a stream. Between that, both protocols are the same. */
interface Framing {
  readonly requestHeaders: Headers;
  /** @throws ConnectError when the server refuses the stream, or is no RPC service */
  checkResponse(status: number, headers: Headers): void;
  /** The flag of the last envelope, which says how the stream ends; absent where trailers say it. */
  readonly endFlag?: number;
  /** @throws ConnectError when the stream did not end well */
  checkEnd(end: { readonly last: Uint8Array | undefined; readonly headers: Headers; readonly trailers: Headers }): void;
}

const framings: Record<Protocol, Framing> = {
  connect: {
    requestHeaders: connectProtocol.requestHeader("bidi_streaming", true, undefined, undefined, true),
    checkResponse: (status, headers) => {
      connectProtocol.validateResponse("bidi_streaming", true, status, headers);
    },
    endFlag: connectProtocol.endStreamFlag,
    checkEnd: ({ last }) => {
      if (last === undefined) {
        throw cutOff();
      }
      const { error } = connectProtocol.endStreamFromJson(last);
      if (error !== undefined) {
        throw error;
      }
    },
  },
  grpc: {
    requestHeaders: grpcProtocol.requestHeader(true, undefined, undefined),
    checkResponse: (status, headers) => {
      const { headerError } = grpcProtocol.validateResponse(status, headers);
      if (headerError !== undefined) {
        throw headerError;
      }
    },
    checkEnd: ({ headers, trailers }) => {
      if (!headers.has(grpcProtocol.headerGrpcStatus) && !trailers.has(grpcProtocol.headerGrpcStatus)) {
        throw cutOff();
      }
      grpcProtocol.validateTrailer(trailers, headers);
    },
  },
};

const path = `/${LockService.typeName}/${LockService.method.session.name}`;

/**
 * Opens a session's stream on a connection, in the connection's protocol. It does not use Connect's transport, whose
 * steps between message and stream take half of a client's time when messages are small. It uses Connect's own code for
 * headers, ends and errors.
 */
export async function openSessionWire(connection: Connection, listener: SessionWireListener): Promise<SessionWire> {
  const framing = framings[connection.protocol];
  const headers = await connection.headers();
  const stream = await connection.openStream(path, { ...headers, ...Object.fromEntries(framing.requestHeaders) });
  return new Http2Wire(stream, framing, listener, () => {
    connection.heard(stream);
  });
}

class Http2Wire implements SessionWire {
  readonly #stream: ClientHttp2Stream;
  readonly #framing: Framing;
  readonly #listener: SessionWireListener;
  #headers = new Headers();
  #trailers = new Headers();
  #last: Uint8Array | undefined;
  /** Whether the wire is over: the listener is not called any more. */
  #over = false;

  /** @param heard - called whenever bytes came */
  constructor(stream: ClientHttp2Stream, framing: Framing, listener: SessionWireListener, heard: () => void) {
    this.#stream = stream;
    this.#framing = framing;
    this.#listener = listener;
    const reader = new EnvelopeReader(maxMessageBytes);
    const receive = (message: Buffer, flags: number): void => {
      this.#received(flags, message);
    };
    let broken: Error | undefined;
    stream.on("response", (headers) => {
      this.#headers = webHeaders(headers);
      this.#try(() => {
        framing.checkResponse(headers[":status"] ?? 0, this.#headers);
      });
    });
    stream.on("data", (chunk: Buffer) => {
      heard();
      this.#try(() => {
        reader.push(chunk, receive);
      });
    });
    stream.on("trailers", (trailers: IncomingHttpHeaders) => {
      this.#trailers = webHeaders(trailers);
    });
    stream.on("end", () => {
      this.#ended();
    });
    stream.on("drain", () => {
      if (!this.#over) {
        listener.drained();
      }
    });
    stream.on("error", (error: Error) => {
      broken = error;
    });
    stream.on("close", () => {
      this.#close(cutOff(broken));
    });
  }

  get writable(): boolean {
    return this.#stream.writable && !this.#stream.writableNeedDrain;
  }

  write(message: Buffer): void {
    this.#stream.write(enveloped(message));
  }

  end(): void {
    this.#stream.end();
  }

  cancel(): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #received(flags: number, message: Buffer): void {
    if (this.#over) {
      return;
    }
    if ((flags & compressedFlag) !== 0) {
      throw unreadable("compressed");
    }
    if (this.#framing.endFlag !== undefined && (flags & this.#framing.endFlag) !== 0) {
      this.#last = message;
    } else {
      this.#listener.message(decode(SessionResponseSchema, message, readSessionResponse));
    }
  }

  /** The server has ended its side. */
  #ended(): void {
    this.#try(() => {
      this.#framing.checkEnd({ last: this.#last, headers: this.#headers, trailers: this.#trailers });
      this.#close(undefined);
    });
    this.#stream.end();
  }

  /** Handles something that came. If that throws, the wire is closed with the error. */
  #try(step: () => void): void {
    if (this.#over) {
      return;
    }
    try {
      step();
    } catch (error) {
      this.#close(error instanceof MessageTooLargeError ? unreadable("too long") : ConnectError.from(error));
      this.#stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  #close(error: ConnectError | undefined): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    this.#listener.closed(error);
  }
}

function unreadable(what: string): ConnectError {
  return new ConnectError(
    `a message of the server is ${what}; check that nothing on the way to metasrv changes its answers`,
    Code.Internal,
  );
}

function cutOff(cause?: Error): ConnectError {
  const message = cause?.message ?? "the session was cut off";
  return new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
}

function webHeaders(received: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(received)) {
    if (!name.startsWith(":")) {
      for (const value of [values].flat()) {
        headers.append(name, value);
      }
    }
  }
  return headers;
}

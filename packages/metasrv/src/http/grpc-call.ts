import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { compressedFlag, EnvelopeReader, type Timer } from "@metasrv/wire";
import { type Caller, canceled, type Connection, deadlinePassed } from "../api/caller.js";
import { toConnectError } from "../api/rpc-errors.js";
import type { LockError } from "../model/lock-errors.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { compressedUnexpectedly, incompleteEnvelope } from "./connect-errors.js";
import type { GrpcMethod } from "./grpc-methods.js";
import type { RequestLog } from "./request-log.js";

const contentTypes: ReadonlySet<unknown> = new Set(["application/grpc", "application/grpc+proto"]);

/** Whether a call has nothing about it that only Connect can handle. */
export function isPlainGrpc(headers: IncomingHttpHeaders): boolean {
  const { "grpc-encoding": encoding = "identity", "grpc-timeout": timeout } = headers;
  return (
    headers[":method"] === "POST" &&
    contentTypes.has(headers["content-type"]) &&
    encoding === "identity" &&
    headers.expect === undefined &&
    (timeout === undefined || timeoutOf(timeout).error === undefined)
  );
}

function timeoutOf(header: string | string[] | undefined): { readonly timeoutMs?: number; readonly error?: unknown } {
  return parseTimeout(header?.toString() ?? null, Number.MAX_SAFE_INTEGER);
}

/** Longest time for which a timer is set, in milliseconds: about 24 days. */
const longestTimerMs = 2 ** 31 - 2;

const answerHeaders: OutgoingHttpHeaders = { ":status": 200, "content-type": "application/grpc+proto" };
/** gRPC servers send no date header. */
const answerOptions = { waitForTrailers: true, sendDate: false };
const okTrailers: OutgoingHttpHeaders = { "grpc-status": "0" };

/** A stream that carries a call. */
interface CallStream extends ServerHttp2Stream {
  [carried]?: GrpcCall | undefined;
}

const carried = Symbol("call");

// One set of listeners serves all streams, so that none has to be created and removed for each stream.

function onData(this: CallStream, chunk: Buffer): void {
  this[carried]?.push(chunk);
}

function onEnd(this: CallStream): void {
  this[carried]?.requested();
}

function onError(this: CallStream, error: Error): void {
  this[carried]?.broke(error);
}

function onClose(this: CallStream): void {
  this[carried]?.closed();
  // Node's native streams live longer than young garbage. Without this, a stream would keep its call in memory as long.
  this[carried] = undefined;
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(okTrailers);
}

/** One unary gRPC call on its HTTP/2 stream. */
export class GrpcCall implements Caller {
  /** The request, once it was read. */
  request: Message | undefined;
  onGone: Caller["onGone"];
  authorization: string | undefined;
  traceparent: string | undefined;
  readonly #dependencies: ServiceDependencies;
  readonly #log: RequestLog;
  readonly #method: GrpcMethod;
  readonly #stream: CallStream;
  readonly #session: ServerHttp2Stream["session"];
  readonly #startedAtMs: number;
  readonly #reader: EnvelopeReader;
  #message: Buffer | undefined;
  #flags = 0;
  #gone: LockError | undefined;
  #deadline: Timer | undefined;
  #answered = false;

  constructor(dependencies: ServiceDependencies, log: RequestLog, method: GrpcMethod, stream: ServerHttp2Stream) {
    this.#dependencies = dependencies;
    this.#log = log;
    this.#method = method;
    this.#stream = stream;
    this.#session = stream.session;
    this.#startedAtMs = log.start();
    this.#reader = new EnvelopeReader(dependencies.limits.maxMessageBytes);
  }

  /** Receives the request and answers it. */
  serve(headers: IncomingHttpHeaders): void {
    const stream = this.#stream;
    stream[carried] = this;
    stream.on("data", onData);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.on("close", onClose);
    this.authorization = headers.authorization;
    this.traceparent = headers.traceparent?.toString();
    try {
      // Before anything is kept of what a stranger sends.
      this.#dependencies.access.of(this);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (headers["grpc-timeout"] !== undefined) {
      this.#setDeadline(timeoutOf(headers["grpc-timeout"]).timeoutMs ?? Number.POSITIVE_INFINITY);
    }
  }

  get method(): string {
    return this.#method.name;
  }

  get connection(): Connection | undefined {
    return this.#session;
  }

  gone(): LockError | undefined {
    return this.#gone;
  }

  disconnected(): boolean {
    return this.#session === undefined || this.#session.destroyed;
  }

  /** Bytes of the request have come. */
  push(chunk: Buffer): void {
    if (!this.#answered) {
      try {
        this.#reader.push(chunk, (message, flags) => {
          this.#receive(message, flags);
        });
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #receive(message: Buffer, flags: number): void {
    if (this.#message !== undefined) {
      throw protocolError("received extra input message for unary method");
    }
    this.#message = message;
    this.#flags = flags;
  }

  /** The request has arrived completely. */
  requested(): void {
    const message = this.#message;
    if (this.#answered || this.#stream.aborted) {
      return;
    }
    if (this.#reader.incomplete) {
      this.#fail(incompleteEnvelope());
    } else if (message === undefined) {
      this.#fail(protocolError("missing input message for unary method"));
    } else if ((this.#flags & compressedFlag) !== 0) {
      this.#fail(compressedUnexpectedly());
    } else {
      void this.#answer(message);
    }
  }

  /** The stream has failed; it closes. */
  broke(error: Error): void {
    this.#dependencies.logger.debug({ err: error, method: this.#method.name }, "a call broke");
  }

  /** The stream has closed. This happens after every answer, too. */
  closed(): void {
    if (!this.#answered) {
      this.#leave(canceled());
    }
  }

  async #answer(message: Buffer): Promise<void> {
    try {
      this.#succeed(await this.#method.answer(message, this));
    } catch (error) {
      this.#fail(error);
    }
  }

  #setDeadline(timeoutMs: number): void {
    if (timeoutMs <= 0) {
      this.#leave(deadlinePassed());
    } else if (timeoutMs <= longestTimerMs) {
      this.#deadline = this.#dependencies.clock.after(timeoutMs, () => {
        this.#leave(deadlinePassed());
      });
    }
  }

  #leave(reason: LockError): void {
    this.#deadline?.cancel();
    this.#gone ??= reason;
    const { onGone } = this;
    this.onGone = undefined;
    onGone?.(reason);
  }

  #succeed(envelope: Buffer): void {
    this.#end(undefined);
    const stream = this.#stream;
    if (!stream.destroyed && !stream.closed) {
      stream.respond(answerHeaders, answerOptions);
      stream.on("wantTrailers", sendOk);
      stream.end(envelope);
    }
  }

  #fail(thrown: unknown): void {
    const error = toConnectError(thrown, this.#dependencies.logger);
    this.#end(error);
    const stream = this.#stream;
    if (!stream.destroyed && !stream.closed && !stream.headersSent) {
      const status = Object.fromEntries(setTrailerStatus(new Headers(), error));
      stream.respond({ ...answerHeaders, ...status }, { endStream: true });
      if (!stream.readableEnded) {
        // Not every client ends its side of the stream when it gets an error.
        stream.close(constants.NGHTTP2_NO_ERROR);
      }
    }
  }

  #end(error: ConnectError | undefined): void {
    this.#answered = true;
    this.#deadline?.cancel();
    const { request: message } = this;
    this.#log.end({ method: this.#method.name, message, error, startedAtMs: this.#startedAtMs });
  }
}

function protocolError(what: string): ConnectError {
  return new ConnectError(`protocol error: ${what}`, Code.Unimplemented);
}

import { setMaxListeners } from "node:events";
import { constants } from "node:http2";
import { Code, ConnectError, type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import {
  createLinkedAbortController,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { LockService } from "@metasrv/proto/metasrv/v1";
import type { Logger } from "pino";
import type { Access } from "../api/access.js";
import { type AnswerStart, answerStartKey, type Connection, type FarEnd, farEndKey } from "../api/caller.js";
import { useOf } from "../api/connection-use.js";
import { toConnectError } from "../api/rpc-errors.js";
import { dropEndlessTimeouts } from "./endless-timeouts.js";
import { type HttpHandler, type HttpRequest, type HttpResponse, sendText } from "./http-exchange.js";
import { withPlainIntegers } from "./json-integers.js";
import { Origins } from "./origins.js";
import type { Probe } from "./probes.js";
import { refuseCall } from "./refuse-call.js";
import { publicServices } from "./routes.js";
import type { StaticHandler } from "./static-files.js";
import { isWatch, Watches } from "./watches.js";

/** JSON of requests is far shorter. */
const longestJson = 256 * 1024;

export interface HttpHandlerOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Says who is known; absent: everybody is. */
  readonly access?: Access | undefined;
  /** The answers to GET and HEAD, by path. */
  readonly probes: ReadonlyMap<string, () => Probe>;
  /** What answers GET and HEAD of other paths, by path. */
  readonly pages?: ReadonlyMap<string, HttpHandler>;
  /** Gets what is no call and no probe; absent: there are no files. */
  readonly files?: StaticHandler | undefined;
  /** Paths of them, for people to find. */
  readonly folders?: readonly string[];
  /** Which web pages may make calls; absent: only those that come from this server. */
  readonly origins?: Origins;
  /** How many watches there may be; as many as come by default. */
  readonly maxWatches?: number;
  /** When it aborts, open streams end with its reason. Unary calls end with what the node answers. */
  readonly shutdownSignal: AbortSignal;
  readonly logger: Logger;
}

/**
 * Serves the routes by gRPC, gRPC-Web, Connect and HTTP/JSON. `GET /` says what there is for people; a request of an unknown
 * path is answered with all paths that there are.
 *
 * It replaces `connectNodeAdapter`, which throws for malformed Host headers and writes to the console.
 */
export function createHttpHandler(options: HttpHandlerOptions): HttpHandler {
  const {
    routes,
    access,
    probes,
    pages = new Map<string, HttpHandler>(),
    files,
    folders = [],
    origins = new Origins({ allowed: [] }),
    maxWatches = Number.POSITIVE_INFINITY,
    shutdownSignal,
    logger,
  } = options;
  const router = createConnectRouter({ acceptCompression: [compressionGzip, compressionBrotli] });
  routes(router);
  setMaxListeners(0, shutdownSignal);
  const watches = new Watches(maxWatches, logger);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const list = (method: string, paths: Iterable<string>) => [...paths].map((path) => `  ${method} ${path}\n`).join("");
  const readable = list("GET", [...folders, ...probes.keys(), ...pages.keys()]);
  const paths = list("POST", handlers.keys()) + readable;

  return (request, response) => {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const handler = handlers.get(path);
    const probe = probes.get(path);
    const page = pages.get(path);
    if (handler !== undefined) {
      if (!origins.admits(request, response)) {
        return;
      }
      const refusal = isWatch(handler) ? watches.enter(connectionOf(request), response) : undefined;
      if (refusal !== undefined) {
        refuseCall(request, response, refusal);
        return;
      }
      serve(handler, request, response, { access, shutdownSignal, logger }).catch((error: unknown) => {
        // Usually the caller has gone meanwhile.
        logger.debug({ err: error, path }, "an answer could not be sent");
      });
    } else if (probe !== undefined) {
      answerProbe(request, response, probe);
    } else if (page !== undefined) {
      page(request, response);
    } else if (files?.(path, request, response) === true) {
      return;
    } else if (path === "/") {
      sendText(request, response, 200, `This is metasrv, a lock service. It serves:\n${readable}${howToCall}`);
    } else {
      sendText(
        request,
        response,
        404,
        `There is nothing at ${path}. This is metasrv, a lock service. It serves:\n${paths}`,
      );
    }
  };
}

async function serve(
  handler: UniversalHandler,
  request: HttpRequest,
  response: HttpResponse,
  { access, shutdownSignal, logger }: Pick<HttpHandlerOptions, "access" | "shutdownSignal" | "logger">,
): Promise<void> {
  const received = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>;
  const body = untilGone(received);
  setPlainAuthority(request);
  const farEnd = farEndOf(request);
  const unary = handler.method.methodKind === "unary";
  const start: AnswerStart | undefined = unary && takesPlainProto(request) ? { bytes: undefined } : undefined;
  const values = createContextValues().set(farEndKey, farEnd).set(answerStartKey, start);
  // Connect is told that there is a body already, so that it does not make one of its own.
  let call: UniversalServerRequest = { ...universalRequestFromNodeRequest(request, response, {}, values), body };
  dropEndlessTimeouts(call.header);
  if (unary && isPlainJson(request)) {
    // Its length may be another.
    call.header.delete("content-length");
    call = { ...call, body: withIntegers(body, handler) };
  }
  if (!unary) {
    call = { ...call, body: accountedFor(body, farEnd.connection) };
  }
  if (handler.method.methodKind !== "bidi_streaming" && !publicServices.has(handler.service.typeName)) {
    // Before anything is kept of what a stranger sends. What is not read to begin with is refused by the service.
    try {
      const method = `${handler.service.typeName}/${handler.method.name}`;
      access?.of({ method, authorization: request.headers.authorization, connection: farEnd.connection });
    } catch (error) {
      call = { ...call, body: failing(toConnectError(error, logger)) };
    }
  }
  if (!unary) {
    // Unary calls do not listen to the shutdown signal, although Connect would let them: the more listeners a signal
    // has, the longer it takes to add or remove one.
    call = { ...call, signal: createLinkedAbortController(call.signal, shutdownSignal).signal };
  }
  const answer = started(await handler(call), start);
  if (unary && !request.readableEnded) {
    // The message may have been too large to be read. A request is over only when it was read to its end, so the rest
    // is dropped here.
    await received.return?.();
    request.resume();
  }
  if (answer.status === 405 || answer.status === 415) {
    sendText(request, response, answer.status, isWebText(request) ? noWebText : whatToSend);
    return;
  }
  if ("stream" in request && !request.readableEnded) {
    const { stream } = request;
    // The request is over when the answer has ended with its trailers, but not every client ends its side then.
    stream.once("wantTrailers", () => {
      stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
  await universalResponseToNodeResponse(answer, response);
}

/**
 * The answer with what is sent before it. Connect's own bodies keep their bytes in memory until V8 collects old objects, since each
 * has a generator function of its own; lists of many locks are too much for that.
 */
function started(answer: UniversalServerResponse, start: AnswerStart | undefined): UniversalServerResponse {
  const { status, body } = answer;
  if (start?.bytes === undefined || status !== 200) {
    return answer;
  }
  const header = new Headers(answer.header);
  header.set("content-length", String(start.bytes.byteLength + Number(header.get("content-length"))));
  return { ...answer, header, body: following(start.bytes, body) };
}

async function* following(
  bytes: Uint8Array,
  body: AsyncIterable<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
  if (body !== undefined) {
    yield* body;
  }
}

/** The body. That it breaks off is the caller's doing, and no fault of this server. */
async function* untilGone(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } catch (error) {
    throw new ConnectError(
      "the client has gone before its request was complete",
      Code.Canceled,
      undefined,
      undefined,
      error,
    );
  }
}

/** The body, while its connection learns how much it brings. */
async function* accountedFor(
  body: AsyncIterable<Uint8Array>,
  connection: Connection | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const use = connection && useOf(connection);
  for await (const chunk of body) {
    use?.brought(chunk.byteLength);
    yield chunk;
  }
}

const howToCall = `and calls by gRPC, gRPC-Web, Connect and JSON, such as
  POST /${LockService.typeName}/${LockService.method.lock.name}
`;

const whatToSend =
  "Send a POST with a Content-Type of application/json, application/proto, application/grpc or application/grpc-web.\n";

const noWebText =
  "application/grpc-web-text, which is gRPC-Web in base64, is not served. Tell your client to send the binary form, " +
  "application/grpc-web+proto: in protoc-gen-grpc-web by mode=grpcweb instead of mode=grpcwebtext.\n";

function isWebText({ headers }: HttpRequest): boolean {
  return /^application\/grpc-web-text\b/i.test(headers["content-type"] ?? "");
}

/** A body from which nothing but an error can be read. So the protocol of the call says how it is answered. */
function failing(error: Error): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

/** Whether the answer is protobuf's bytes, with nothing around them, and not compressed. */
function takesPlainProto({ headers }: HttpRequest): boolean {
  return headers["content-type"] === "application/proto" && headers["accept-encoding"] === undefined;
}

/** Whether a message is JSON, and not compressed. */
function isPlainJson({ headers }: HttpRequest): boolean {
  return headers["content-encoding"] === undefined && /^application\/json\b/i.test(headers["content-type"] ?? "");
}

/** The body, with 64-bit numbers as protobuf-es reads them rightly. A body that is too large is left as it is. */
async function* withIntegers(
  body: AsyncIterable<Uint8Array>,
  { method }: UniversalHandler,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > longestJson) {
      yield* chunks.splice(0);
      yield chunk;
    } else {
      chunks.push(chunk);
    }
  }
  if (chunks.length > 0) {
    yield Buffer.from(withPlainIntegers(Buffer.concat(chunks).toString("utf8"), method.input));
  }
}

/**
 * Nothing here depends on the Host header (in HTTP/2, :authority), but Connect makes a URL of it. Node itself writes `::1:3002`
 * for an IPv6 address, which is no part of a URL.
 */
function setPlainAuthority(request: HttpRequest): void {
  if ("stream" in request) {
    request.headers[":authority"] = "metasrv";
  } else {
    request.headers.host = "metasrv";
  }
}

function answerProbe(request: HttpRequest, response: HttpResponse, probe: () => Probe): void {
  if (request.method === "GET" || request.method === "HEAD") {
    const { status, text } = probe();
    response.setHeader("cache-control", "no-store");
    sendText(request, response, status, text);
  } else {
    response.setHeader("allow", "GET, HEAD");
    sendText(request, response, 405, "Send a GET or a HEAD.\n");
  }
}

/** What carries a request; undefined once it has broken. */
function connectionOf(request: HttpRequest): Connection | undefined {
  return "stream" in request ? request.stream.session : request.socket;
}

function farEndOf(request: HttpRequest): FarEnd {
  if ("stream" in request) {
    // When a connection breaks, Node closes its streams as if the client had reset each of them. Only the HTTP/2
    // session shows the difference.
    const { stream } = request;
    const { session } = stream;
    return {
      connection: session,
      disconnected: () => session === undefined || session.destroyed,
      reset: () => {
        stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      },
    };
  }
  const { socket } = request;
  return { connection: socket, disconnected: () => socket.destroyed, reset: () => socket.destroy() };
}

import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { createEndStreamSerialization, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { LockService, SessionRequestSchema } from "@metasrv/proto/metasrv/v1";
import {
  compressedFlag,
  decode,
  encodeEnvelope,
  enveloped,
  EnvelopeReader,
  readSessionRequest,
  writeSessionResponse,
} from "@metasrv/wire";
import type { Permitted } from "../api/access.js";
import { endOf } from "../api/connection-end.js";
import { useOf } from "../api/connection-use.js";
import { toConnectError } from "../api/rpc-errors.js";
import { LockError } from "../model/lock-errors.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { Session } from "../session/session.js";
import { compressedUnexpectedly, incompleteEnvelope } from "./connect-errors.js";
import type { RequestLog } from "./request-log.js";

const method = `${LockService.typeName}/Session`;
const contentType = "application/connect+proto";
const endSerialization = createEndStreamSerialization(undefined);

/** Whether a request opens a session by Connect's protocol, and has nothing about it that only Connect can handle. */
export function isPlainSession(headers: IncomingHttpHeaders): boolean {
  return (
    headers[":path"] === `/${method}` &&
    headers[":method"] === "POST" &&
    headers["content-type"] === contentType &&
    (headers["connect-content-encoding"] ?? "identity") === "identity" &&
    headers["connect-timeout-ms"] === undefined &&
    headers.expect === undefined
  );
}

/** Serves a session on its HTTP/2 stream, until either side ends it or the signal aborts. */
export function serveSessionStream(
  dependencies: ServiceDependencies,
  { log, shutdownSignal }: { readonly log: RequestLog; readonly shutdownSignal: AbortSignal },
  stream: ServerHttp2Stream,
  { authorization }: IncomingHttpHeaders,
): void {
  const { logger, limits } = dependencies;
  const startedAtMs = log.start();
  stream.on("error", (error) => {
    logger.debug({ err: error, method }, "a session broke");
  });
  let permitted: Permitted;
  try {
    permitted = dependencies.access.of({ method, authorization, connection: stream.session });
  } catch (thrown) {
    const error = toConnectError(thrown, logger);
    stream.respond({ ":status": 200, "content-type": contentType });
    end(error);
    log.end({ method, message: undefined, error, startedAtMs });
    return;
  }
  const reader = new EnvelopeReader(limits.maxMessageBytes);
  const session = new Session(dependencies, permitted, {
    wake: send,
    read: (on) => (on ? stream.resume() : stream.pause()),
    reset: () => {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    },
  });
  let ended = false;
  const use = stream.session && useOf(stream.session);
  const stopHearing =
    stream.session &&
    endOf(stream.session).onLeave(() => {
      session.drain();
    });

  function send(): void {
    while (!stream.writableNeedDrain && !ended && !stream.destroyed) {
      const message = session.next();
      if (message !== undefined) {
        stream.write(encodeEnvelope(message, writeSessionResponse));
      } else {
        if (session.over !== undefined) {
          ended = true;
          end(session.over.error);
        }
        return;
      }
    }
  }

  function end(reason: Error | undefined): void {
    const metadata = new Headers();
    const end = reason === undefined ? { metadata } : { metadata, error: toConnectError(reason, logger) };
    stream.end(enveloped(endSerialization.serialize(end), endStreamFlag));
    // Nobody reads what the client still sends.
    stream.close(constants.NGHTTP2_NO_ERROR);
  }

  function receive(message: Buffer, flags: number): void {
    if ((flags & compressedFlag) !== 0) {
      throw compressedUnexpectedly();
    }
    if ((flags & endStreamFlag) === 0) {
      session.receive(decode(SessionRequestSchema, message, readSessionRequest));
    }
  }

  function onShutdown(): void {
    session.break(shutdownSignal.reason instanceof Error ? shutdownSignal.reason : gone());
  }

  stream.on("data", (chunk: Buffer) => {
    use?.brought(chunk.byteLength);
    try {
      reader.push(chunk, receive);
    } catch (error) {
      session.break(error instanceof Error ? error : gone());
    }
  });
  stream.on("end", () => {
    if (reader.incomplete) {
      session.break(incompleteEnvelope());
    } else {
      session.end();
    }
  });
  stream.on("drain", send);
  stream.on("close", () => {
    shutdownSignal.removeEventListener("abort", onShutdown);
    stopHearing?.();
    session.break(gone());
    const reason = session.over?.error;
    log.end({ method, message: undefined, error: reason && toConnectError(reason, logger), startedAtMs });
  });
  shutdownSignal.addEventListener("abort", onShutdown);
  if (shutdownSignal.aborted) {
    onShutdown();
  }

  stream.respond({ ":status": 200, "content-type": contentType });
  send();
}

function gone(): LockError {
  return new LockError("canceled", "the client is gone");
}

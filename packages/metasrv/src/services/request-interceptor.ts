import { isMessage, type Message } from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { LockRequestSchema as GreptimeLockRequestSchema } from "@metasrv/proto/greptime/v1/meta";
import { LockRequestSchema } from "@metasrv/proto/metasrv/v1";
import type { Logger } from "pino";
import type { Clock } from "../locks/clock.js";
import { toConnectError } from "./rpc-errors.js";

/** Stands around every call: turns what is thrown into what is sent, and logs one line a call at debug. */
export function createRequestInterceptor(options: { readonly logger: Logger; readonly clock: Clock }): Interceptor {
  const { logger, clock } = options;
  return (next) => async (request) => {
    const startedAt = clock.now();
    const lock = request.stream ? undefined : lockNameOf(request.message);
    const ended = (error?: ConnectError) => {
      if (logger.isLevelEnabled("debug")) {
        const method = `${request.service.typeName}/${request.method.name}`;
        const code = error === undefined ? "ok" : codeToString(error.code);
        logger.debug({ method, lock: lock?.(), code, durationMs: clock.now() - startedAt }, "request");
      }
    };
    const failed = (thrown: unknown) => {
      const error = toConnectError(thrown, logger);
      ended(error);
      return error;
    };
    try {
      const response = await next(request);
      if (response.stream) {
        return { ...response, message: observe(response.message, ended, failed) };
      }
      ended();
      return response;
    } catch (error) {
      throw failed(error);
    }
  };
}

async function* observe<T>(messages: AsyncIterable<T>, ended: () => void, failed: (thrown: unknown) => ConnectError) {
  try {
    yield* messages;
  } catch (error) {
    throw failed(error);
  }
  ended();
}

/** How to read the name of the lock that is asked for, once it is needed. */
function lockNameOf(message: Message): (() => string | undefined) | undefined {
  if (isMessage(message, LockRequestSchema)) {
    const { lock } = message;
    return () => (lock.case === "nameBytes" ? readable(lock.value) : lock.value);
  }
  return isMessage(message, GreptimeLockRequestSchema) ? () => readable(message.name) : undefined;
}

function readable(name: Uint8Array): string {
  return new TextDecoder().decode(name);
}

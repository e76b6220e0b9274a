import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { toConnectError } from "../api/rpc-errors.js";
import { RequestLog, type RequestLogOptions } from "./request-log.js";

/** Wraps every call: turns errors into what the caller gets, and logs one line a call at debug. */
export function createRequestInterceptor(options: RequestLogOptions): Interceptor {
  const log = new RequestLog(options);
  return (next) => async (request) => {
    const startedAtMs = log.start();
    const method = `${request.service.typeName}/${request.method.name}`;
    const ended = (error?: ConnectError) => {
      log.end({ method, message: request.stream ? undefined : request.message, error, startedAtMs });
    };
    const failed = (thrown: unknown) => {
      const error = toConnectError(thrown, options.logger);
      ended(error);
      return error;
    };
    try {
      const response = await next(request);
      if (response.stream) {
        // nginx and its kin would keep what a stream says until they have a buffer full of it.
        response.header.set("x-accel-buffering", "no");
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

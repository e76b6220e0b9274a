import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { LockError } from "../model/lock-errors.js";

/** The far end of a request, as the connection knows it. */
export interface FarEnd {
  /** Whether the connection broke. The client then did not give this request up, but cannot be reached any more. */
  disconnected(): boolean;
  /** Breaks the request off, whatever is still to be sent. */
  reset(): void;
  /** Absent for a call without a connection. */
  readonly connection?: Connection | undefined;
}

/** What carries requests: of HTTP/2, its session. */
export type Connection = Socket | Http2Session;

/** Where a request comes from, and by what it shows who sent it. */
export interface Origin {
  /** As service/method. */
  readonly method: string;
  /** The header of that name. */
  readonly authorization: string | undefined;
  /** Undefined for a call within one process. */
  readonly connection: Connection | undefined;
}

/** Who waits for the answer to a call. */
export interface Caller extends Pick<FarEnd, "disconnected">, Origin {
  /** The header of that name: the span of the caller, as libraries of gRPC and HTTP send it. */
  readonly traceparent: string | undefined;
  /** Why the caller does not wait any more; undefined while it waits. */
  gone(): LockError | undefined;
  /** Called once the caller is gone, unless it was gone before. There is one listener at a time. */
  onGone: ((reason: LockError) => void) | undefined;
}

/**
 * The key under which a Connect handler finds its {@link FarEnd}. The default serves calls without a connection, such
 * as those within one process: nothing can break there.
 */
export const farEndKey = createContextKey<FarEnd>(
  { disconnected: () => false, reset: () => undefined },
  { description: "far end" },
);

/** What is sent of an answer before that which the handler returns. */
export interface AnswerStart {
  /** Fields of the answer's message. */
  bytes: Uint8Array | undefined;
}

/** The key under which a Connect handler finds its {@link AnswerStart}; undefined where an answer has none. */
export const answerStartKey = createContextKey<AnswerStart | undefined>(undefined, { description: "answer start" });

/** Where a request to a handler of Connect comes from. */
export function originOf({ service, method, requestHeader, values }: HandlerContext): Origin {
  return {
    method: `${service.typeName}/${method.name}`,
    authorization: requestHeader.get("authorization") ?? undefined,
    connection: values.get(farEndKey).connection,
  };
}

/** The caller of a handler of Connect. */
export function callerOf(context: HandlerContext): Caller {
  const { signal, values } = context;
  const farEnd = values.get(farEndKey);
  let listener: Caller["onGone"];
  const onAbort = () => {
    listener?.(reasonOf(signal));
  };
  return {
    ...originOf(context),
    traceparent: context.requestHeader.get("traceparent") ?? undefined,
    disconnected: () => farEnd.disconnected(),
    gone: () => (signal.aborted ? reasonOf(signal) : undefined),
    get onGone() {
      return listener;
    },
    set onGone(next) {
      // Connect aborts the signal also after a call that went well. The listener is removed by then, so nothing
      // happens.
      signal.removeEventListener("abort", onAbort);
      listener = next;
      if (next !== undefined) {
        signal.addEventListener("abort", onAbort);
      }
    },
  };
}

/** The caller gave the call up, or cannot be reached any more. */
export function canceled(): LockError {
  return new LockError("canceled", "the caller gave the request up before the lock was granted");
}

/** The deadline that the caller set has passed. */
export function deadlinePassed(): LockError {
  return new LockError(
    "wait-timed-out",
    "the deadline of the call passed before the lock was granted; allow the call more time, or wait less with wait_ms",
  );
}

/** The error that the caller of a stream gets when the stream's signal was aborted. */
export function abortReason({ reason }: { readonly reason: unknown }): Error {
  return reason instanceof LockError ? reason : ConnectError.from(reason, Code.Canceled);
}

function reasonOf({ reason }: { readonly reason: unknown }): LockError {
  if (reason instanceof LockError) {
    return reason;
  }
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded ? deadlinePassed() : canceled();
}

import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { LockError } from "../model/lock-errors.js";

/** The far end of a request, as the connection knows it. */
export interface FarEnd {
  /** Whether its connection broke, so that it did not give up this request but cannot be reached any more. */
  disconnected(): boolean;
  /** Breaks the request off, whatever is still to be sent. */
  reset(): void;
}

/** Who waits for the answer to a call. */
export interface Caller extends Pick<FarEnd, "disconnected"> {
  /** Why it does not wait any more; undefined while it does. */
  gone(): LockError | undefined;
  /** Is called once it is gone, unless it was already. There is one at a time. */
  onGone: ((reason: LockError) => void) | undefined;
}

/** Where a handler of Connect finds its {@link FarEnd}. Without a connection, as in one process, nothing can break. */
export const farEndKey = createContextKey<FarEnd>(
  { disconnected: () => false, reset: () => undefined },
  { description: "far end" },
);

/** The caller of a handler of Connect. */
export function callerOf({ signal, values }: Pick<HandlerContext, "signal" | "values">): Caller {
  const farEnd = values.get(farEndKey);
  let listener: Caller["onGone"];
  const onAbort = () => {
    listener?.(reasonOf(signal));
  };
  return {
    disconnected: () => farEnd.disconnected(),
    gone: () => (signal.aborted ? reasonOf(signal) : undefined),
    get onGone() {
      return listener;
    },
    set onGone(next) {
      // Connect aborts the signal also when the call is complete, and then says nothing to nobody.
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

/** Why the signal of a stream was aborted, as its caller is to be told. */
export function abortReason({ reason }: { readonly reason: unknown }): Error {
  return reason instanceof LockError ? reason : ConnectError.from(reason, Code.Canceled);
}

function reasonOf({ reason }: { readonly reason: unknown }): LockError {
  if (reason instanceof LockError) {
    return reason;
  }
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded ? deadlinePassed() : canceled();
}

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema, Reason } from "@metasrv/proto/metasrv/v1";
import type { Logger } from "pino";
import { LockError, type LockErrorReason } from "../locks/lock-errors.js";

/** How each domain error looks on the wire. A new reason does not compile until it has its line here. */
const wireErrors: Readonly<Record<LockErrorReason, readonly [Code, Reason]>> = {
  "invalid-name": [Code.InvalidArgument, Reason.INVALID_NAME],
  "invalid-ticket-id": [Code.InvalidArgument, Reason.INVALID_TICKET_ID],
  "invalid-ttl": [Code.InvalidArgument, Reason.INVALID_TTL],
  "invalid-wait": [Code.InvalidArgument, Reason.INVALID_WAIT],
  "invalid-owner": [Code.InvalidArgument, Reason.INVALID_OWNER],
  "invalid-key": [Code.InvalidArgument, Reason.INVALID_KEY],
  "invalid-mode": [Code.InvalidArgument, Reason.INVALID_MODE],
  "wait-timed-out": [Code.DeadlineExceeded, Reason.WAIT_TIMED_OUT],
  "not-held": [Code.FailedPrecondition, Reason.NOT_HELD],
  "too-many-waiters": [Code.ResourceExhausted, Reason.TOO_MANY_WAITERS],
  "too-many-tickets": [Code.ResourceExhausted, Reason.TOO_MANY_TICKETS],
  "store-unavailable": [Code.Unavailable, Reason.STORE_UNAVAILABLE],
  "store-full": [Code.ResourceExhausted, Reason.STORE_FULL],
  "shutting-down": [Code.Unavailable, Reason.SHUTTING_DOWN],
  "not-a-member": [Code.Unavailable, Reason.NOT_A_MEMBER],
  superseded: [Code.Aborted, Reason.SUPERSEDED],
  canceled: [Code.Canceled, Reason.CANCELED],
};

/**
 * Turns whatever a service threw into what is sent to the caller: the one place where errors become RPC codes.
 *
 * A `LockError` keeps its message and gets its code and an `ErrorDetail`. A `ConnectError` stays as it is. Anything else
 * is a fault of this server: it is logged in full, and the caller is told only that it happened.
 */
export function toConnectError(error: unknown, logger: Logger): ConnectError {
  if (error instanceof ConnectError) {
    return error;
  }
  if (error instanceof LockError) {
    const [code, reason] = wireErrors[error.reason];
    const detail = error.state === undefined ? { reason } : { reason, state: error.state };
    return new ConnectError(error.message, code, undefined, [{ desc: ErrorDetailSchema, value: detail }], error);
  }
  logger.error({ err: error }, "a request failed unexpectedly");
  return new ConnectError(
    "internal error: the fault is in the server, whose log has the details",
    Code.Internal,
    undefined,
    undefined,
    error,
  );
}

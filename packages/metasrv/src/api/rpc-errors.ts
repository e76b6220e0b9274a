import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema, Reason, type SessionFailure, SessionFailureSchema } from "@metasrv/proto/metasrv/v1";
import { MalformedMessageError, MessageTooLargeError } from "@metasrv/wire";
import type { Logger } from "pino";
import { LockError, type LockErrorReason } from "../model/lock-errors.js";
import { stateMessage } from "./claim-messages.js";

/**
 * The code and the reason that callers get for each domain error. A new reason does not compile until it has a line
 * here.
 */
const wireErrors: Readonly<Record<LockErrorReason, readonly [Code, Reason]>> = {
  "invalid-name": [Code.InvalidArgument, Reason.INVALID_NAME],
  "invalid-ticket-id": [Code.InvalidArgument, Reason.INVALID_TICKET_ID],
  "invalid-ttl": [Code.InvalidArgument, Reason.INVALID_TTL],
  "invalid-wait": [Code.InvalidArgument, Reason.INVALID_WAIT],
  "invalid-owner": [Code.InvalidArgument, Reason.INVALID_OWNER],
  "invalid-key": [Code.InvalidArgument, Reason.INVALID_KEY],
  "invalid-mode": [Code.InvalidArgument, Reason.INVALID_MODE],
  "invalid-permits": [Code.InvalidArgument, Reason.INVALID_PERMITS],
  "cluster-too-old": [Code.FailedPrecondition, Reason.CLUSTER_TOO_OLD],
  "invalid-page": [Code.InvalidArgument, Reason.INVALID_PAGE],
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
  "invalid-command": [Code.InvalidArgument, Reason.INVALID_COMMAND],
  "too-many-commands": [Code.ResourceExhausted, Reason.TOO_MANY_COMMANDS],
  "not-reading": [Code.ResourceExhausted, Reason.NOT_READING],
  "invalid-parts": [Code.InvalidArgument, Reason.INVALID_PARTS],
  "invalid-labels": [Code.InvalidArgument, Reason.INVALID_LABELS],
  "invalid-value": [Code.InvalidArgument, Reason.INVALID_VALUE],
  "invalid-within": [Code.InvalidArgument, Reason.INVALID_WITHIN],
  "invalid-force": [Code.InvalidArgument, Reason.INVALID_FORCE],
  "not-attached": [Code.FailedPrecondition, Reason.NOT_ATTACHED],
  "out-of-order": [Code.Aborted, Reason.OUT_OF_ORDER],
  "too-many-attached": [Code.Unavailable, Reason.TOO_MANY_ATTACHED],
  forced: [Code.FailedPrecondition, Reason.FORCED],
  unauthenticated: [Code.Unauthenticated, Reason.UNAUTHENTICATED],
  "permission-denied": [Code.PermissionDenied, Reason.PERMISSION_DENIED],
  "quota-exceeded": [Code.ResourceExhausted, Reason.QUOTA_EXCEEDED],
};

/**
 * Turns whatever a service threw into the error that the caller gets: the one place where errors become RPC codes.
 *
 * A `LockError` keeps its message and gets its code and an `ErrorDetail`. A `ConnectError` stays as it is. A message
 * that is malformed or too large is the caller's fault. Anything else is a fault of this server: it is logged in full,
 * and the caller learns only that it happened.
 */
export function toConnectError(error: unknown, logger: Logger): ConnectError {
  if (error instanceof ConnectError) {
    return error;
  }
  if (error instanceof LockError) {
    const [code] = wireErrors[error.reason];
    const details = [{ desc: ErrorDetailSchema, value: detailOf(error) }];
    return new ConnectError(error.message, code, undefined, details, error);
  }
  // The words that Connect itself uses for such messages.
  if (error instanceof MessageTooLargeError) {
    const { length, max } = error;
    return new ConnectError(
      `message size ${length} is larger than configured readMaxBytes ${max}`,
      Code.ResourceExhausted,
    );
  }
  if (error instanceof MalformedMessageError) {
    return new ConnectError(`parse binary: ${error.message}`, Code.Internal);
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

/** The same error as an event of a session. */
export function toSessionFailure(error: unknown, logger: Logger): SessionFailure {
  if (error instanceof LockError) {
    const [code] = wireErrors[error.reason];
    return create(SessionFailureSchema, { code, message: error.message, detail: detailOf(error) });
  }
  const { code, rawMessage } = toConnectError(error, logger);
  return create(SessionFailureSchema, { code, message: rawMessage });
}

function detailOf({ reason, state, forced, retryAfterMs }: LockError): MessageInitShape<typeof ErrorDetailSchema> {
  const [, wireReason] = wireErrors[reason];
  return {
    reason: wireReason,
    ...(state !== undefined && { state: stateMessage(state) }),
    ...(forced !== undefined && { forced }),
    ...(retryAfterMs !== undefined && { retryAfterMs: BigInt(Math.ceil(retryAfterMs)) }),
  };
}

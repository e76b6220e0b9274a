import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema, Reason, type SessionFailure } from "@metasrv/proto/metasrv/v1";
import { connectionTrouble } from "./connection-trouble.js";
import { EndpointFailure } from "./lock-channel.js";
import {
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  MetaError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";

/** The call that failed. */
export interface FailedCall {
  readonly endpoint: string;
  /** Whether the request may have reached the server. */
  readonly sent: boolean;
}

type Kind =
  | "invalid-argument"
  | "wait-timeout"
  | "lost"
  | "limit"
  | "unauthenticated"
  | "denied"
  | "endpoint"
  | "too-old"
  | "unexpected"
  | "own-fault";

// What each reason means to the client. A reason that is added to the contract does not compile until it has a line
// here.
const kindOfReason: Record<Exclude<Reason, Reason.UNSPECIFIED>, Kind> = {
  [Reason.INVALID_NAME]: "invalid-argument",
  [Reason.INVALID_TICKET_ID]: "invalid-argument",
  [Reason.INVALID_TTL]: "invalid-argument",
  [Reason.INVALID_WAIT]: "invalid-argument",
  [Reason.INVALID_OWNER]: "invalid-argument",
  [Reason.INVALID_KEY]: "invalid-argument",
  [Reason.INVALID_MODE]: "invalid-argument",
  [Reason.INVALID_PERMITS]: "invalid-argument",
  [Reason.CLUSTER_TOO_OLD]: "too-old",
  [Reason.INVALID_PAGE]: "invalid-argument",
  [Reason.INVALID_PARTS]: "invalid-argument",
  [Reason.INVALID_LABELS]: "invalid-argument",
  [Reason.INVALID_VALUE]: "invalid-argument",
  [Reason.INVALID_WITHIN]: "invalid-argument",
  [Reason.INVALID_FORCE]: "invalid-argument",
  [Reason.FORCED]: "lost",
  [Reason.WAIT_TIMED_OUT]: "wait-timeout",
  [Reason.NOT_HELD]: "lost",
  [Reason.TOO_MANY_WAITERS]: "limit",
  [Reason.TOO_MANY_TICKETS]: "limit",
  [Reason.STORE_FULL]: "limit",
  [Reason.STORE_UNAVAILABLE]: "endpoint",
  [Reason.SHUTTING_DOWN]: "endpoint",
  [Reason.NOT_A_MEMBER]: "endpoint",
  // An earlier attempt of this call, which the client had given up, arrived late and took the ticket. Asking again
  // takes it back.
  [Reason.SUPERSEDED]: "endpoint",
  // This client did not cancel the call: a channel reports its own withdrawals itself.
  [Reason.CANCELED]: "endpoint",
  [Reason.INVALID_COMMAND]: "unexpected",
  [Reason.TOO_MANY_COMMANDS]: "limit",
  // The server gave up the stream, not the request.
  [Reason.NOT_READING]: "endpoint",
  // The session is over, or cannot be: another one, here or elsewhere, is asked.
  [Reason.NOT_ATTACHED]: "endpoint",
  [Reason.OUT_OF_ORDER]: "endpoint",
  [Reason.TOO_MANY_ATTACHED]: "endpoint",
  [Reason.TOO_MANY_STREAMS]: "limit",
  [Reason.UNAUTHENTICATED]: "unauthenticated",
  [Reason.PERMISSION_DENIED]: "denied",
  [Reason.QUOTA_EXCEEDED]: "limit",
};

/**
 * Turns the failure of a call into this client's errors. The one place that knows RPC codes and reasons.
 *
 * @returns an `EndpointFailure` when the same request may succeed at another endpoint, otherwise the error for the
 *   caller
 */
export function translateError(error: unknown, call: FailedCall): EndpointFailure | MetaError {
  if (error instanceof MetaError) {
    return error;
  }
  const rpcError = ConnectError.from(error);
  const detail = rpcError.findDetails(ErrorDetailSchema)[0];
  const message = rpcError.rawMessage;
  switch (kindOf(rpcError, detail)) {
    case "invalid-argument":
      return new InvalidArgumentError(message, { cause: error });
    case "wait-timeout":
      return new WaitTimeoutError(message, detail?.state, { cause: error });
    case "lost": {
      const forced = detail?.forced && { actor: detail.forced.actor, reason: detail.forced.reason };
      return new LockLostError(message, { cause: error, forced });
    }
    case "limit":
      return new LimitExceededError(message, { cause: error });
    case "unauthenticated":
      return new UnauthenticatedError(message, { cause: error });
    case "denied":
      return new PermissionDeniedError(message, { cause: error });
    case "endpoint": {
      const why = connectionTrouble(error, call.endpoint) ?? (message || Code[rpcError.code]);
      return new EndpointFailure(call.endpoint, why, call.sent, { cause: error });
    }
    case "too-old":
      return new UnexpectedError(message, { cause: error });
    case "unexpected":
      return new UnexpectedError(
        `${call.endpoint} answered with an error that this client does not know: ${rpcError.message}. ` +
          "Check that metasrv is what listens there, and that it is not older than this client.",
        { cause: error },
      );
    case "own-fault":
      return new UnexpectedError(
        `A fault of meta-client itself, not of ${call.endpoint}: ${message}. Please report it, with the stack of the cause.`,
        { cause: error },
      );
  }
}

/** The error with which a unary call would have failed. */
export function errorOfFailure({ code, message, detail }: SessionFailure): ConnectError {
  const details = detail === undefined ? [] : [{ desc: ErrorDetailSchema, value: detail }];
  const name = Code[code] as keyof typeof Code | undefined;
  return new ConnectError(message, name === undefined ? Code.Unknown : Code[name], undefined, details);
}

function kindOf(error: ConnectError, detail: ErrorDetail | undefined): Kind {
  if (detail !== undefined && detail.reason !== Reason.UNSPECIFIED) {
    // A newer server can send a reason that is not in the table.
    const known = (kindOfReason as Partial<Record<Reason, Kind>>)[detail.reason];
    if (known !== undefined) {
      return known;
    }
  }
  if (isOwnFault(error.cause)) {
    return "own-fault";
  }
  switch (error.code) {
    case Code.InvalidArgument:
      return "invalid-argument";
    case Code.ResourceExhausted:
      return "limit";
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.PermissionDenied:
      return "denied";
    case Code.Unavailable:
      return "endpoint";
    // Without a detail of ours, these codes come from the end of the connection, or from a proxy on the way, such as
    // one that ends long requests. Connect uses "unknown" for an answer that is cut off or does not come from an RPC
    // service.
    case Code.Aborted:
    case Code.Canceled:
    case Code.DeadlineExceeded:
    case Code.Unknown:
      return detail === undefined ? "endpoint" : "unexpected";
    case Code.Internal:
      return isNodeError(error.cause) ? "endpoint" : "unexpected";
    default:
      return "unexpected";
  }
}

/**
 * Whether the cause can only be a mistake in code, which a retry elsewhere would hide. Node's own errors have a code.
 */
function isOwnFault(cause: unknown): boolean {
  const isMistake = cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError;
  return isMistake && !isNodeError(cause);
}

/**
 * Whether the cause is an error of Node itself: of a socket, of TLS or of HTTP/2. connect-node gives "internal" to
 * those that it has no rule for.
 */
function isNodeError(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string";
}

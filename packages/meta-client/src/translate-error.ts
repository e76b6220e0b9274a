import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema, Reason } from "@metasrv/proto/metasrv/v1";
import { EndpointFailure } from "./endpoint-failure.js";
import {
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  type MetaError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";

/** Where a failed call went. */
export interface FailedCall {
  readonly endpoint: string;
  /** Whether the request may have reached the server. */
  readonly sent: boolean;
}

type Kind = "invalid-argument" | "wait-timeout" | "lost" | "limit" | "endpoint" | "unexpected" | "own-fault";

// A reason that is added to the contract does not compile until it has its place here.
const kindOfReason: Record<Exclude<Reason, Reason.UNSPECIFIED>, Kind> = {
  [Reason.INVALID_NAME]: "invalid-argument",
  [Reason.INVALID_TICKET_ID]: "invalid-argument",
  [Reason.INVALID_TTL]: "invalid-argument",
  [Reason.INVALID_WAIT]: "invalid-argument",
  [Reason.INVALID_OWNER]: "invalid-argument",
  [Reason.INVALID_KEY]: "invalid-argument",
  [Reason.INVALID_MODE]: "invalid-argument",
  [Reason.WAIT_TIMED_OUT]: "wait-timeout",
  [Reason.NOT_HELD]: "lost",
  [Reason.TOO_MANY_WAITERS]: "limit",
  [Reason.TOO_MANY_TICKETS]: "limit",
  [Reason.STORE_FULL]: "limit",
  [Reason.STORE_UNAVAILABLE]: "endpoint",
  [Reason.SHUTTING_DOWN]: "endpoint",
  [Reason.NOT_A_MEMBER]: "endpoint",
  // An earlier attempt of this call, given up here, arrived late and took its place: asking again takes it back.
  [Reason.SUPERSEDED]: "endpoint",
  // Not by us: a channel reports its own withdrawals itself.
  [Reason.CANCELED]: "endpoint",
  [Reason.INVALID_COMMAND]: "unexpected",
  [Reason.TOO_MANY_COMMANDS]: "limit",
  // The stream was given up, not the request.
  [Reason.NOT_READING]: "endpoint",
};

/**
 * Turns what a call failed with into this client's errors. The one place that knows of RPC codes and reasons.
 *
 * @returns an `EndpointFailure` when the same request may succeed at another endpoint, else the error for the caller
 */
export function translateError(error: unknown, call: FailedCall): EndpointFailure | MetaError {
  const rpcError = ConnectError.from(error);
  const detail = rpcError.findDetails(ErrorDetailSchema)[0];
  const message = rpcError.rawMessage;
  switch (kindOf(rpcError, detail)) {
    case "invalid-argument":
      return new InvalidArgumentError(message, { cause: error });
    case "wait-timeout":
      return new WaitTimeoutError(message, detail?.state, { cause: error });
    case "lost":
      return new LockLostError(message, { cause: error });
    case "limit":
      return new LimitExceededError(message, { cause: error });
    case "endpoint":
      return new EndpointFailure(call.endpoint, message || Code[rpcError.code], call.sent, { cause: error });
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
    case Code.Unavailable:
      return "endpoint";
    // Without a detail of ours these come from the connection's end or from a proxy on the way, such as one that ends
    // long requests. "Unknown" is how Connect calls an answer that is cut off or not from an RPC service.
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

/** Whether the cause can only come from a mistake in code: a retry elsewhere would hide it. Node's own errors have a code. */
function isOwnFault(cause: unknown): boolean {
  const isMistake = cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError;
  return isMistake && !isNodeError(cause);
}

/** Whether the cause is Node's own error, of a socket, TLS or HTTP/2: connect-node calls what it has no rule for "internal". */
function isNodeError(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string";
}

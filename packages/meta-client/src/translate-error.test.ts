import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { ErrorDetailSchema, LockStateSchema, Reason } from "@metasrv/proto/metasrv/v1";
import { EndpointFailure } from "./lock-channel.js";
import {
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";
import { translateError } from "./translate-error.js";

const call = { endpoint: "http://a:3002", sent: true };

function rpcError(code: Code, reason?: Reason, cause?: unknown): ConnectError {
  const state = create(LockStateSchema, { holderOwner: "bob", holderToken: 7n, waiters: 3 });
  const detail = { desc: ErrorDetailSchema, value: reason === undefined ? {} : { reason, state } };
  return new ConnectError("said the server", code, undefined, reason === undefined ? undefined : [detail], cause);
}

const nodeError = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });

describe("translateError", () => {
  test.each([
    [Reason.INVALID_NAME, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_TICKET_ID, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_TTL, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_WAIT, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_OWNER, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_KEY, Code.InvalidArgument, InvalidArgumentError],
    [Reason.INVALID_MODE, Code.InvalidArgument, InvalidArgumentError],
    [Reason.WAIT_TIMED_OUT, Code.DeadlineExceeded, WaitTimeoutError],
    [Reason.NOT_HELD, Code.FailedPrecondition, LockLostError],
    [Reason.TOO_MANY_WAITERS, Code.ResourceExhausted, LimitExceededError],
    [Reason.TOO_MANY_TICKETS, Code.ResourceExhausted, LimitExceededError],
    [Reason.STORE_FULL, Code.ResourceExhausted, LimitExceededError],
    [Reason.STORE_UNAVAILABLE, Code.Unavailable, EndpointFailure],
    [Reason.SHUTTING_DOWN, Code.Unavailable, EndpointFailure],
    [Reason.NOT_A_MEMBER, Code.Unavailable, EndpointFailure],
    [Reason.SUPERSEDED, Code.Aborted, EndpointFailure],
    [Reason.CANCELED, Code.Canceled, EndpointFailure],
    [Reason.UNAUTHENTICATED, Code.Unauthenticated, UnauthenticatedError],
    [Reason.PERMISSION_DENIED, Code.PermissionDenied, PermissionDeniedError],
    [Reason.QUOTA_EXCEEDED, Code.ResourceExhausted, LimitExceededError],
  ])("reason %i (code %i) by its reason", (reason, code, expected) => {
    const error = rpcError(code, reason);
    const translated = translateError(error, call);
    expect(translated).toBeInstanceOf(expected);
    expect(translated).toMatchObject({ name: expected.name, message: "said the server", cause: error });
  });

  test.each([
    [Code.InvalidArgument, undefined, InvalidArgumentError],
    [Code.ResourceExhausted, undefined, LimitExceededError],
    [Code.Unauthenticated, undefined, UnauthenticatedError],
    [Code.PermissionDenied, undefined, PermissionDeniedError],
    [Code.Unavailable, undefined, EndpointFailure],
    [Code.Aborted, nodeError, EndpointFailure],
    [Code.Canceled, undefined, EndpointFailure],
    [Code.DeadlineExceeded, undefined, EndpointFailure],
    [Code.Unknown, undefined, EndpointFailure],
    [Code.Internal, nodeError, EndpointFailure],
    [Code.Internal, undefined, UnexpectedError],
    [Code.Unimplemented, undefined, UnexpectedError],
    [Code.FailedPrecondition, undefined, UnexpectedError],
  ])("code %i without a detail, cause %p", (code, cause, expected) => {
    expect(translateError(rpcError(code, undefined, cause), call)).toBeInstanceOf(expected);
  });

  test("a reason that this client does not know yet, by its code", () => {
    const unknown = Number.MAX_SAFE_INTEGER as unknown as Reason;
    expect(translateError(rpcError(Code.Unavailable, unknown), call)).toBeInstanceOf(EndpointFailure);
    expect(translateError(rpcError(Code.Internal, unknown), call)).toBeInstanceOf(UnexpectedError);
    expect(translateError(rpcError(Code.Unknown, unknown), call)).toBeInstanceOf(UnexpectedError);
  });

  test("a wait that is over says who holds", () => {
    const error = translateError(rpcError(Code.DeadlineExceeded, Reason.WAIT_TIMED_OUT), call);
    expect(error).toMatchObject({ code: "WAIT_TIMEOUT", holderOwner: "bob", holderToken: 7n, waiters: 3 });
  });

  test("an endpoint's failure says whether the request may have arrived", () => {
    const error = rpcError(Code.Unavailable);
    expect(translateError(error, call)).toMatchObject({ endpoint: call.endpoint, maybeApplied: true });
    expect(translateError(error, { ...call, sent: false })).toMatchObject({ maybeApplied: false });
  });

  test("what is no RPC error at all is kept as the cause", () => {
    const error = new TypeError("a bug");
    expect(translateError(error, call)).toMatchObject({ cause: error });
  });

  test.each([
    ["thrown here", new TypeError("x is not a function")],
    ["wrapped by Connect", ConnectError.from(new RangeError("Invalid array length"))],
  ])("a mistake in code, %s, is not a failed endpoint", (_, error) => {
    const translated = translateError(error, call);
    expect(translated).toBeInstanceOf(UnexpectedError);
    expect(translated.message).toContain("A fault of meta-client itself");
    expect(translated.cause).toBe(error);
  });

  test("a TypeError with a code is Node's, of the connection", () => {
    const error = ConnectError.from(Object.assign(new TypeError("bad"), { code: "ERR_HTTP2_INVALID_SESSION" }));
    expect(translateError(error, call)).toBeInstanceOf(EndpointFailure);
  });

  test.each([
    [
      "no answer to a ping",
      new ConnectError("PING timed out", Code.Unavailable),
      "it does not answer on the connection (",
    ],
    [
      "a stream that is cancelled",
      new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled),
      "it ended the call without an answer (",
    ],
    [
      "what is no HTTP",
      ConnectError.from(Object.assign(new Error("Parse Error: Expected HTTP/"), { code: "HPE_INVALID_CONSTANT" })),
      "it speaks neither HTTP/2 nor HTTP/1.1 (Parse Error: Expected HTTP/)",
    ],
    [
      "TLS to a server without it",
      ConnectError.from(
        Object.assign(new Error("80EC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:x.c:350:\n"), {
          code: "ERR_SSL_WRONG_VERSION_NUMBER",
          reason: "wrong version number",
        }),
      ),
      'it does not speak TLS; begin the endpoint with "http://" if that is right (wrong version number)',
    ],
    [
      "a refusal of a client that speaks no TLS",
      new ConnectError("Session closed with error code 12", Code.Unavailable),
      'it refuses connections without TLS; begin the endpoint with "https://" (Session closed with error code 12)',
    ],
    ["a code of Object's own", ConnectError.from(Object.assign(new Error("odd"), { code: "toString" })), "odd"],
  ])("an endpoint's failure says what it means: %s", (_, error, says) => {
    expect(translateError(error, call)).toBeInstanceOf(EndpointFailure);
    expect(translateError(error, call).message).toContain(says);
  });

  test("a refusal of a client that speaks TLS is for its certificate", () => {
    const error = new ConnectError("Session closed with error code 12", Code.Unavailable);
    const { message } = translateError(error, { ...call, endpoint: "https://a:1" });
    expect(message).toContain("it refuses this client; give tls.cert and tls.key of a certificate that it trusts (");
    expect(message).not.toContain('https://"');
  });
});

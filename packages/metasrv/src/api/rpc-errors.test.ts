import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, jest, test } from "@jest/globals";
import { ErrorDetailSchema, Reason } from "@metasrv/proto/metasrv/v1";
import { pino } from "pino";
import { stateOf } from "../../test-support/told.js";
import { LockError, type LockErrorReason } from "../model/lock-errors.js";
import { toConnectError } from "./rpc-errors.js";

const silent = pino({ level: "silent" });

/** The table is written out a second time, because callers in other languages depend on every line. */
const table: Record<LockErrorReason, [Code, Reason]> = {
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
  unauthenticated: [Code.Unauthenticated, Reason.UNAUTHENTICATED],
  "permission-denied": [Code.PermissionDenied, Reason.PERMISSION_DENIED],
  "quota-exceeded": [Code.ResourceExhausted, Reason.QUOTA_EXCEEDED],
  forced: [Code.FailedPrecondition, Reason.FORCED],
  "not-attached": [Code.FailedPrecondition, Reason.NOT_ATTACHED],
  "out-of-order": [Code.Aborted, Reason.OUT_OF_ORDER],
  "too-many-attached": [Code.Unavailable, Reason.TOO_MANY_ATTACHED],
};

describe("toConnectError", () => {
  test.each(Object.entries(table))("%s", (reason, [code, wireReason]) => {
    const error = toConnectError(new LockError(reason as LockErrorReason, "what to do"), silent);
    expect(error.code).toBe(code);
    expect(error.rawMessage).toBe("what to do");
    expect(error.details).toEqual([{ desc: ErrorDetailSchema, value: { reason: wireReason } }]);
  });

  test("every reason of the wire has an error", () => {
    const used = new Set(Object.values(table).map(([, reason]) => reason));
    const declared = Object.values(Reason).filter((reason) => typeof reason === "number");
    expect(declared.filter((reason) => !used.has(reason))).toEqual([Reason.UNSPECIFIED]);
  });

  test("a wait that timed out says who stood in the way", () => {
    const error = toConnectError(
      new LockError("wait-timed-out", "taken", { state: { ...stateOf("orders-7", 42n, 3), position: 2 } }),
      silent,
    );
    expect(error.details).toMatchObject([
      {
        desc: ErrorDetailSchema,
        value: {
          reason: Reason.WAIT_TIMED_OUT,
          state: {
            holderOwner: "orders-7",
            holderToken: 42n,
            waiters: 3,
            holders: [{ owner: "orders-7", token: 42n, permits: 1, heldMs: 0n }],
            holderCount: 1,
            permitsHeld: 1,
            limit: 1,
            position: 2,
          },
        },
      },
    ]);
  });

  test("an error of Connect stays as it is", () => {
    const error = new ConnectError("too big", Code.ResourceExhausted);
    expect(toConnectError(error, silent)).toBe(error);
  });

  test("a fault is logged in full, and not shown to the caller", () => {
    const logger = pino({ level: "silent" });
    const logged = jest.spyOn(logger, "error").mockImplementation(() => undefined);
    const fault = new TypeError("password of the store is hunter2");
    const error = toConnectError(fault, logger);
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain("hunter2");
    expect(logged).toHaveBeenCalledWith({ err: fault }, expect.any(String));
  });
});

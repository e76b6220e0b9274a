import { Code, ConnectError } from "@connectrpc/connect";
import type { LockErrorReason } from "@metasrv/metasrv";
import { ErrorDetailSchema, Reason } from "@metasrv/proto/metasrv/v1";
import { DriverError, stateOf } from "../lock-driver.js";

/** The failure of a call over the wire, as the error that all backends use. */
export function wireError(error: unknown, signal?: AbortSignal): DriverError {
  if (signal?.aborted === true && ConnectError.from(error).code === Code.Canceled) {
    return new DriverError("aborted", error);
  }
  const detail = error instanceof ConnectError ? error.findDetails(ErrorDetailSchema)[0] : undefined;
  if (detail === undefined || detail.reason === Reason.UNSPECIFIED) {
    return new DriverError("other", error);
  }
  const reason = Reason[detail.reason].toLowerCase().replaceAll("_", "-") as LockErrorReason;
  return new DriverError(reason, error, stateOf(detail.state));
}

/** What the call was for, unless the lock was not held any more. */
export async function unlessNotHeld<T extends string>(done: T, call: Promise<unknown>): Promise<T | "not-held"> {
  try {
    await call;
    return done;
  } catch (error) {
    const failure = wireError(error);
    if (failure.reason === "not-held" || failure.reason === "forced") {
      return "not-held";
    }
    throw failure;
  }
}

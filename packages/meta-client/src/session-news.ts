import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema, LossReason, type SessionFailure } from "@metasrv/proto/metasrv/v1";
import type { LockNews } from "./holding.js";

/** What the loss of a lock means for its holder. */
export function newsOf(reason: LossReason): LockNews {
  switch (reason) {
    case LossReason.EXPIRED:
      return "expired";
    case LossReason.MOVED:
      return "unwatched";
    case LossReason.RELEASED:
    case LossReason.UNSPECIFIED:
      return "released";
  }
}

/** The error with which a unary call would have failed. */
export function errorOf({ code, message, detail }: SessionFailure): ConnectError {
  const details = detail === undefined ? [] : [{ desc: ErrorDetailSchema, value: detail }];
  const name = Code[code] as keyof typeof Code | undefined;
  return new ConnectError(message, name === undefined ? Code.Unknown : Code[name], undefined, details);
}

export type { MetaClientOptions } from "./client-options.js";
export type { Protocol, TlsOptions } from "./connection.js";
export type { FencingToken, HeldLock, RenewOutcome } from "./held-lock.js";
export type { LockName, LockOptions, Mode, TryLockOptions } from "./lock-arguments.js";
export type { LockInfo, LockSummary, TicketInfo } from "./lock-info.js";
export type { GetLockOptions, ListLocksOptions, LockInspector } from "./lock-inspector.js";
export type { Member } from "./member.js";
export { MetaClient } from "./meta-client.js";
export type { EndpointTrouble, HolderInfo, MetaErrorCode, WaitTimeoutDetails } from "./meta-errors.js";
export {
  ClosedError,
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  MetaError,
  UnavailableError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";
export type { LockRequest, LockResult, UnlockRequest, UnlockResult } from "./original-form.js";
export type { AcquireOptions, Semaphore, SemaphoreOptions, TryAcquireOptions } from "./semaphore.js";

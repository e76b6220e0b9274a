export type { ClientEvents, Listener, LockEvent } from "./client-events.js";
export type { MetaClientOptions } from "./client-options.js";
export type { Protocol } from "./connection.js";
export type { RequestHeaders, Token } from "./credentials.js";
export type { CampaignOptions, Leader, LeadOptions, ObserveOptions, Term } from "./election.js";
export type { FencingToken, HeldLock, HeldLocks, RenewOutcome } from "./held-lock.js";
export type { LockOptions, LockPart, Mode, TryLockOptions } from "./lock-arguments.js";
export type { BlockedLock, Deadlock, ForcedRelease, LockInfo, LockSummary, TicketInfo } from "./lock-info.js";
export type {
  BlockedOptions,
  ForceOptions,
  GetLockOptions,
  ListLocksOptions,
  LockChanges,
  LockInspector,
  WatchLockOptions,
  WatchLocksOptions,
} from "./lock-inspector.js";
export type { LockName } from "./lock-name.js";
export type { LockSpan, LockTracer, SpanPlace } from "./lock-tracer.js";
export type { Member } from "./member.js";
export { MetaClient } from "./meta-client.js";
export type { EndpointTrouble, ForcedBy, HolderInfo, MetaErrorCode, WaitTimeoutDetails } from "./meta-errors.js";
export {
  ClosedError,
  InvalidArgumentError,
  LeaderStuckError,
  LimitExceededError,
  LockLostError,
  MetaError,
  PermissionDeniedError,
  SelfDeadlockError,
  UnauthenticatedError,
  UnavailableError,
  UnexpectedError,
  WaitTimeoutError,
} from "./meta-errors.js";
export type { LockRequest, LockResult, OriginalForm, UnlockRequest, UnlockResult } from "./original-form.js";
export type { AcquireOptions, Semaphore, SemaphoreOptions, TryAcquireOptions } from "./semaphore.js";
export type { Pem, TlsOptions } from "./tls-options.js";

/** Names what went wrong, for programs: one code for each class of error. */
export type MetaErrorCode =
  | "WAIT_TIMEOUT"
  | "LOCK_LOST"
  | "UNAVAILABLE"
  | "INVALID_ARGUMENT"
  | "LIMIT_EXCEEDED"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "SELF_DEADLOCK"
  | "LEADER_STUCK"
  | "CLOSED"
  | "UNEXPECTED";

const brand = Symbol.for("@metasrv/meta-client/error");

/**
 * Every error that this client makes. The message says what happened and what to do about it; `cause` is the original
 * error where there is one.
 */
export abstract class MetaError extends Error {
  abstract readonly code: MetaErrorCode;
  /** Known to every copy of this package in a process. */
  readonly [brand] = true;

  /** An error of another copy of this package counts as one of the class with its code. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Object.hasOwn(this, "code")) {
      return isBranded(value) && value.code === (this as { readonly code?: unknown }).code;
    }
    return this === MetaError ? isBranded(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

function isBranded(value: unknown): value is { readonly code: unknown } {
  return typeof value === "object" && value !== null && brand in value && "code" in value;
}

/** One of those that held a lock. */
export interface HolderInfo {
  /** Empty when it gave none. */
  readonly owner: string;
  readonly token: bigint;
  /** How many permits it held; 1 without a semaphore. */
  readonly permits: number;
  /** For how long it had held them, in milliseconds, as far as the server had seen: it may be longer. */
  readonly heldMs: number;
  /** It waited for other locks that it had asked for at once, and this one was kept for it. */
  readonly reserves: boolean;
}

/** An endpoint that was tried, and why it could not serve. */
export interface EndpointTrouble {
  readonly endpoint: string;
  readonly reason: string;
  /** The server does not accept the certificate of this client, or asks for one that it did not get. */
  readonly certificateRefused: boolean;
}

/** Who stood in the way of a lock, as far as a server could say. */
export interface WaitTimeoutDetails {
  readonly holderOwner?: string | undefined;
  readonly holderToken?: bigint | undefined;
  readonly waiters?: number | undefined;
  readonly holders?:
    | readonly (Omit<HolderInfo, "heldMs" | "reserves"> & {
        readonly heldMs: bigint | number;
        readonly reserves?: boolean;
      })[]
    | undefined;
  readonly holderCount?: number | undefined;
  readonly position?: number | undefined;
}

/** The lock was not granted within `waitMs`. Nothing is held and nothing is left in the queue. */
export class WaitTimeoutError extends MetaError {
  override readonly name = "WaitTimeoutError";
  static readonly code = "WAIT_TIMEOUT";
  readonly code = "WAIT_TIMEOUT";
  /** Owner text of the holder; undefined when no server said, empty when the holder gave none. */
  readonly holderOwner: string | undefined;
  /** Fencing token of the holder; undefined when no server said. */
  readonly holderToken: bigint | undefined;
  /** Number of requests that wait for the lock; undefined when no server said. */
  readonly waiters: number | undefined;
  /** The first of those that held the lock, 8 at most; empty when no server said. */
  readonly holders: readonly HolderInfo[];
  /** How many held it; undefined when no server said. */
  readonly holderCount: number | undefined;
  /** At which place the request waited, 1 for the next to hold; undefined when that is not known. */
  readonly position: number | undefined;
  /**
   * Set when no server had answered by then: every endpoint that failed meanwhile, with its last trouble; empty when one
   * was only silent. Undefined when a server said that the wait is over.
   */
  readonly unanswered: readonly EndpointTrouble[] | undefined;

  constructor(
    message: string,
    details: WaitTimeoutDetails = {},
    options?: ErrorOptions & { readonly unanswered?: readonly EndpointTrouble[] },
  ) {
    super(message, options);
    this.holderOwner = details.holderOwner;
    this.holderToken = details.holderToken;
    this.waiters = details.waiters;
    this.holders = (details.holders ?? []).map(({ owner, token, permits, heldMs, reserves }) => {
      return { owner, token, permits, heldMs: Number(heldMs), reserves: reserves ?? false };
    });
    this.holderCount = details.holderCount;
    this.position = details.position === 0 ? undefined : details.position;
    this.unanswered = options?.unanswered;
  }
}

/** The lock is not held any more, or may not be: stop what it guards. */
export class LockLostError extends MetaError {
  override readonly name = "LockLostError";
  static readonly code = "LOCK_LOST";
  readonly code = "LOCK_LOST";
  /** Who took the lock away by force, and why; undefined when nobody did, or when that is not known. */
  readonly forced: ForcedBy | undefined;

  constructor(message: string, options?: ErrorOptions & { readonly forced?: ForcedBy | undefined }) {
    super(message, options);
    this.forced = options?.forced;
  }
}

/** Who took a lock from its holder by force, and why. */
export interface ForcedBy {
  /** Empty when the operator gave no name. */
  readonly actor: string;
  readonly reason: string;
}

/** The code that asks for a lock runs inside of code that holds it: it would wait for itself for ever. */
export class SelfDeadlockError extends MetaError {
  override readonly name = "SelfDeadlockError";
  static readonly code = "SELF_DEADLOCK";
  readonly code = "SELF_DEADLOCK";
}

/**
 * A callback goes on although its term as a leader is over. Another process may lead by now: end this process, or make sure
 * otherwise that the callback does no harm.
 */
export class LeaderStuckError extends MetaError {
  override readonly name = "LeaderStuckError";
  static readonly code = "LEADER_STUCK";
  readonly code = "LEADER_STUCK";
}

/** No endpoint could serve the call. Whether it took effect is not known. */
export class UnavailableError extends MetaError {
  override readonly name = "UnavailableError";
  static readonly code = "UNAVAILABLE";
  readonly code = "UNAVAILABLE";
  /** Every endpoint that was tried, with its last trouble. */
  readonly endpoints: readonly EndpointTrouble[];

  constructor(message: string, endpoints: readonly EndpointTrouble[], options?: ErrorOptions) {
    super(message, options);
    this.endpoints = endpoints;
  }
}

/** An argument is not what is expected; the message says what is. */
export class InvalidArgumentError extends MetaError {
  override readonly name = "InvalidArgumentError";
  static readonly code = "INVALID_ARGUMENT";
  readonly code = "INVALID_ARGUMENT";
}

/** The server refused to take on more, and nothing was changed. */
export class LimitExceededError extends MetaError {
  override readonly name = "LimitExceededError";
  static readonly code = "LIMIT_EXCEEDED";
  readonly code = "LIMIT_EXCEEDED";
}

/** The server does not accept who this client says it is: its token or certificate is missing, wrong or out of date. */
export class UnauthenticatedError extends MetaError {
  override readonly name = "UnauthenticatedError";
  static readonly code = "UNAUTHENTICATED";
  readonly code = "UNAUTHENTICATED";
}

/** The server knows who this client is, and does not allow it what it asked for. Nothing was changed. */
export class PermissionDeniedError extends MetaError {
  override readonly name = "PermissionDeniedError";
  static readonly code = "PERMISSION_DENIED";
  readonly code = "PERMISSION_DENIED";
}

/** The client was closed before the call was answered. */
export class ClosedError extends MetaError {
  override readonly name = "ClosedError";
  static readonly code = "CLOSED";
  readonly code = "CLOSED";

  constructor() {
    super("The client is closed. Make a new MetaClient to go on.");
  }
}

/**
 * An answer that this client has no rule for: another service, another version, or a fault of the server. Or a fault of
 * this client itself; the message says which.
 */
export class UnexpectedError extends MetaError {
  override readonly name = "UnexpectedError";
  static readonly code = "UNEXPECTED";
  readonly code = "UNEXPECTED";
}

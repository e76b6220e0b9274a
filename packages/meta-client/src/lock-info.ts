import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type GetLockRequestSchema,
  type GetLockResponse,
  type ListLocksRequestSchema,
  type ListLocksResponse,
  LockMode,
  type LockSummary as SummaryMessage,
  type TicketInfo as TicketMessage,
} from "@metasrv/proto/metasrv/v1";
import { type LockName, type Mode, modeOf } from "./lock-arguments.js";
import { type HolderInfo, UnexpectedError } from "./meta-errors.js";

/** What a client asks of one lock. */
export type GetLock = MessageInitShape<typeof GetLockRequestSchema>;
/** What a client asks of many locks. */
export type ListLocks = MessageInitShape<typeof ListLocksRequestSchema>;

/** What one row says of a lock. Times are in milliseconds, as far as the server that was asked has seen: they may be longer. */
export interface LockSummary {
  /** A text where the name is UTF-8, else its bytes. */
  readonly name: LockName;
  /** How the first ticket holds it; undefined when nobody holds. */
  readonly mode: Mode | undefined;
  /** The first of those that hold, 8 at most. */
  readonly holders: readonly HolderInfo[];
  readonly holderCount: number;
  readonly waiters: number;
  /** How many permits are held: one each, except of a semaphore. */
  readonly permitsHeld: number;
  /** The smallest limit among the holders: 1 of an exclusive lock, Infinity of a shared one, 0 when nobody holds. */
  readonly limit: number;
  /** How long the first that waits has waited; 0 when nobody waits. */
  readonly oldestWaitMs: number;
}

/** One request for a lock. Its key and id are never shown. */
export interface TicketInfo {
  /** Fencing token, and place in the log: with the lock's name, it names the ticket. */
  readonly token: bigint;
  readonly mode: Mode;
  /** How many permits it takes, and of how many: 1 of 1 for an exclusive lock, 1 of Infinity for a shared one. */
  readonly permits: number;
  readonly limit: number;
  readonly holds: boolean;
  /** At which place it waits, 1 for the next that is to hold; 0 if it holds. */
  readonly position: number;
  readonly owner: string;
  /** Id of the server that serves it. */
  readonly memberId: string;
  /** How long it is there, and of that how long it holds, in milliseconds. */
  readonly ageMs: number;
  readonly heldMs: number;
  /** The times are only since the server that was asked has read the store: they may be longer. */
  readonly timesAreMinimum: boolean;
  /** When it ends unless it is renewed, in milliseconds; only of a holder, and only if its server was asked. */
  readonly expiresInMs: number | undefined;
}

/** A lock, and the first tickets of its queue: those that hold first. */
export interface LockInfo extends LockSummary {
  readonly tickets: readonly TicketInfo[];
}

const noLimit = 2 ** 32 - 1;

/** Reads what a server says of one lock. */
export function readLock({ lock, tickets }: GetLockResponse): LockInfo {
  if (lock === undefined) {
    throw new UnexpectedError("The server showed no lock. Check that it is not newer than this client.");
  }
  return { ...readSummary(lock), tickets: tickets.map(readTicket) };
}

/** A page of locks. */
export interface LockPage {
  readonly locks: readonly LockSummary[];
  /** What to ask for the next page with; empty for the last. */
  readonly next: string;
}

/** Reads a page of locks. */
export function readPage({ locks, nextPageToken }: ListLocksResponse): LockPage {
  return { locks: locks.map(readSummary), next: nextPageToken };
}

function readSummary({ lock, state, mode, oldestWaitMs }: SummaryMessage): LockSummary {
  const { holders = [], holderCount = 0, waiters = 0, permitsHeld = 0, limit = 0 } = state ?? {};
  return {
    name: lock.value ?? "",
    mode: mode === LockMode.UNSPECIFIED ? undefined : modeOf({ mode }),
    holders: holders.map(({ owner, token, permits, heldMs }) => ({ owner, token, permits, heldMs: Number(heldMs) })),
    holderCount,
    waiters,
    permitsHeld,
    limit: limit === noLimit ? Infinity : limit,
    oldestWaitMs: Number(oldestWaitMs),
  };
}

function readTicket(ticket: TicketMessage): TicketInfo {
  const { token, holds, position, owner, memberId, timesAreMinimum, expiresInMs } = ticket;
  const mode = modeOf(ticket);
  return {
    token,
    mode,
    permits: mode === "semaphore" ? ticket.permits : 1,
    limit: mode === "semaphore" ? ticket.limit : mode === "shared" ? Infinity : 1,
    holds,
    position,
    owner,
    memberId,
    ageMs: Number(ticket.ageMs),
    heldMs: Number(ticket.heldMs),
    timesAreMinimum,
    expiresInMs: expiresInMs === undefined ? undefined : Number(expiresInMs),
  };
}

import {
  type BlockedLock as BlockedMessage,
  type Deadlock as DeadlockMessage,
  type ForcedRelease as ForcedMessage,
  LockMode,
  type LockName as NameMessage,
  type LockSummary as SummaryMessage,
  type TicketInfo as TicketMessage,
} from "@metasrv/proto/metasrv/v1";
import { type Mode, modeOf } from "./lock-arguments.js";
import type { LockName } from "./lock-name.js";
import { type HolderInfo, UnexpectedError } from "./meta-errors.js";

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
  /** It waits for other locks that it asked for at once, and this one is kept for it. */
  readonly reserves: boolean;
  /** At which place it waits, 1 for the next that is to hold; 0 if it holds. */
  readonly position: number;
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What it shows to others, such as the address of a leader; empty if nothing. */
  readonly value: Uint8Array;
  /** Of several locks that were asked for at once: all their names. */
  readonly parts: readonly LockName[];
  /** What its requester holds while it waits, as far as that is known. */
  readonly within: readonly { readonly name: LockName; readonly token: bigint }[];
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

/** A lock that somebody waits for, with the first that waits and those that hold or reserve it, 8 at most. */
export interface BlockedLock extends LockSummary {
  readonly waiter: TicketInfo;
  readonly blockers: readonly TicketInfo[];
}

/** Requests that wait for each other: each for what the requester of the next one holds, the last for the first. */
export type Deadlock = readonly { readonly name: LockName; readonly ticket: TicketInfo }[];

/** The record of a release by force. */
export interface ForcedRelease {
  readonly name: LockName;
  readonly token: bigint;
  readonly owner: string;
  /** Whether it held its lock; otherwise it waited. */
  readonly held: boolean;
  readonly actor: string;
  readonly reason: string;
  readonly at: Date;
}

const noLimit = 2 ** 32 - 1;

/** Reads what a server says of one lock. */
export function readLock({
  lock,
  tickets,
}: {
  readonly lock?: SummaryMessage | undefined;
  readonly tickets: readonly TicketMessage[];
}): LockInfo {
  if (lock === undefined) {
    throw new UnexpectedError("The server showed no lock. Check that it is not newer than this client.");
  }
  return { ...readSummary(lock), tickets: tickets.map(readTicket) };
}

/** Reads what a server says of a lock that somebody waits for. */
export function readBlocked({ lock, waiter, blockers }: BlockedMessage): BlockedLock {
  if (lock === undefined || waiter === undefined) {
    throw new UnexpectedError("The server showed no lock. Check that it is not newer than this client.");
  }
  return { ...readSummary(lock), waiter: readTicket(waiter), blockers: blockers.map(readTicket) };
}

/** Reads what a server says of a deadlock. */
export function readDeadlock({ requests }: DeadlockMessage): Deadlock {
  return requests.flatMap(({ lock, ticket }) => {
    return ticket === undefined ? [] : [{ name: readName(lock), ticket: readTicket(ticket) }];
  });
}

/** Reads the record of a release by force. */
export function readForced({ lock, token, owner, held, actor, reason, unixMs }: ForcedMessage): ForcedRelease {
  return { name: readName(lock), token, owner, held, actor, reason, at: new Date(Number(unixMs)) };
}

/** Reads a name. */
export function readName(name: NameMessage | undefined): LockName {
  return name?.lock.value ?? "";
}

/** Reads what a server says of a lock in one row. */
export function readSummary({ lock, state, mode, oldestWaitMs }: SummaryMessage): LockSummary {
  const { holders = [], holderCount = 0, waiters = 0, permitsHeld = 0, limit = 0 } = state ?? {};
  return {
    name: lock.value ?? "",
    mode: mode === LockMode.UNSPECIFIED ? undefined : modeOf({ mode }),
    holders: holders.map(({ owner, token, permits, heldMs, reserves }) => {
      return { owner, token, permits, heldMs: Number(heldMs), reserves };
    }),
    holderCount,
    waiters,
    permitsHeld,
    limit: limit === noLimit ? Infinity : limit,
    oldestWaitMs: Number(oldestWaitMs),
  };
}

/** Reads what a server says of one request. */
export function readTicket(ticket: TicketMessage): TicketInfo {
  const { token, holds, reserves, position, owner, labels, value, memberId, timesAreMinimum, expiresInMs } = ticket;
  const mode = modeOf(ticket);
  return {
    token,
    mode,
    permits: mode === "semaphore" ? ticket.permits : 1,
    limit: mode === "semaphore" ? ticket.limit : mode === "shared" ? Infinity : 1,
    holds,
    reserves,
    position,
    owner,
    labels,
    value,
    parts: ticket.parts.map(readName),
    within: ticket.within.map((held) => ({ name: held.lock.value ?? "", token: held.token })),
    memberId,
    ageMs: Number(ticket.ageMs),
    heldMs: Number(ticket.heldMs),
    timesAreMinimum,
    expiresInMs: expiresInMs === undefined ? undefined : Number(expiresInMs),
  };
}

import type { LockName } from "./ticket-ref.js";

/** How much of a lock a ticket takes, and how much it leaves to others: the one rule of all kinds of locks. */
export interface Share {
  /** What it takes, at least 1. */
  readonly permits: number;
  /** What all that hold the lock beside it may take together with it; at least its own permits. */
  readonly limit: number;
}

/** The limit of a ticket that sets none. */
export const noLimit = 2 ** 32 - 1;

/** Alone. */
export const exclusive: Share = { permits: 1, limit: 1 };

/** With any others that share. */
export const shared: Share = { permits: 1, limit: noLimit };

/** Whether a ticket with it can hold a lock at all. */
export function isPossible({ permits, limit }: Share): boolean {
  return permits <= limit;
}

/** Whether it holds its lock alone. */
export function isExclusive({ limit }: Share): boolean {
  return limit === 1;
}

/** Whether it holds its lock with any others that share it. */
export function isShared({ permits, limit }: Share): boolean {
  return permits === 1 && limit === noLimit;
}

/**
 * What a request says of itself besides its name and id. Requests of one client are mostly alike, and share one object.
 */
export interface TicketContent extends Share {
  /** How long a grant lasts unless renewed, in milliseconds. */
  readonly ttlMs: number;
  /** By what people recognise the requester. */
  readonly owner: string;
  /** Whether the requester knows the ticket id, and so can ask for the same ticket at another member. */
  readonly resumable: boolean;
  /** Undefined for the many that say nothing of it. */
  readonly extras?: TicketExtras | undefined;
}

/** What only some requests say of themselves. */
export interface TicketExtras {
  /** The other locks that are asked for at once, in the order of their names, which are above the ticket's own. */
  readonly others: readonly LockPart[];
  /** Pairs that people are shown, sorted by their keys. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** What the requester holds while it waits. */
  readonly within: readonly HeldTicket[];
  /** What others read while the ticket holds; a character for each byte. */
  readonly value: string;
}

/** Whether they have nothing but labels, which are mostly the same for all requests of a client. */
export function hasLabelsOnly({ others, within, value }: TicketExtras): boolean {
  return others.length === 0 && within.length === 0 && value === "";
}

/** One of several locks that are asked for at once. */
export interface LockPart extends Share {
  readonly name: LockName;
}

/** Names a ticket that holds. */
export interface HeldTicket {
  readonly name: LockName;
  readonly token: bigint;
}

const none: readonly never[] = [];

/** Extras with these; undefined if there is nothing in them. */
export function extrasOf(some: {
  readonly [name in keyof TicketExtras]?: TicketExtras[name] | undefined;
}): TicketExtras | undefined {
  const { others = none, labels = none, within = none, value = "" } = some;
  const isEmpty = others.length === 0 && labels.length === 0 && within.length === 0 && value === "";
  return isEmpty ? undefined : { others, labels, within, value };
}

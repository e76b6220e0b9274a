import type { LockName } from "./lock-name.js";
import type { TicketId } from "./ticket-id.js";

/**
 * Fencing token: a ticket's place in the log, and so in its lock's queue. Rises strictly over everything, for ever.
 */
export type FencingToken = bigint & { readonly __brand: "FencingToken" };

/** Commands in one entry, at most: a token is `(revision + offset) * 4096 + index`. */
export const commandsPerEntry = 4096;

/** The highest level of log entries that this version reads, and the one that it writes. */
export const knownLevel = 1;

/** What names a ticket. */
export interface TicketRef {
  readonly name: LockName;
  readonly id: TicketId;
}

/** What a request says of itself besides its name and id. One client's are mostly alike, and share one object. */
export interface TicketContent {
  /** How long a grant lasts unless renewed, in milliseconds. */
  readonly ttlMs: number;
  /** By what people recognise the requester. */
  readonly owner: string;
  /** Whether the requester knows the ticket id, and so can ask for the same ticket at another member. */
  readonly resumable: boolean;
}

/**
 * Why a ticket is removed, and with it under which condition:
 *
 * - `released`: by its key; only a ticket that holds
 * - `expired`: its TTL has passed; only one that the writer serves
 * - `cancelled`: nobody waits for it any more; only one that the writer serves
 * - `abandoned`: its member is gone and nobody came back for it; only one that this member still serves
 */
export type RemoveCause = "released" | "expired" | "cancelled" | "abandoned";

/** Adds a ticket served by the writer, or, if it is there already, makes the writer serve it. */
export interface CreateCommand extends TicketRef {
  readonly kind: "create";
  readonly content: TicketContent;
  /** How often the requester had asked for it before; a request with a lower number is outdated. */
  readonly attempt: number;
  /** Only if it holds at once. */
  readonly try: boolean;
}

/** Gives a ticket that holds a full TTL again; the writer serves it from then on. */
export interface RenewCommand extends TicketRef {
  readonly kind: "renew";
  readonly token: bigint;
  /** In milliseconds; 0 keeps the one that it has. */
  readonly ttlMs: number;
}

/** Removes a ticket. */
export interface RemoveCommand extends TicketRef {
  readonly kind: "remove";
  readonly token: bigint;
  readonly cause: RemoveCause;
  /** With `abandoned`: the member that is gone; else empty. */
  readonly memberId: string;
}

/** Makes the writer serve a ticket whose member is gone, if that member still serves it. */
export interface AdoptCommand extends TicketRef {
  readonly kind: "adopt";
  readonly token: bigint;
  readonly memberId: string;
}

/** Makes all tokens from here on higher than this one. */
export interface RaiseFloorCommand {
  readonly kind: "raise-floor";
  readonly token: bigint;
}

/** Lets entries of this level follow. */
export interface RaiseLevelCommand {
  readonly kind: "raise-level";
  readonly level: number;
}

/** One change that a node wants. The fold decides at the command's place in the log whether it takes effect. */
export type Command =
  CreateCommand | RenewCommand | RemoveCommand | AdoptCommand | RaiseFloorCommand | RaiseLevelCommand;

/**
 * What became of a command, as it was decided at its place in the log:
 *
 * - `holds`, `waits`: the ticket is in the table, and holds or waits; with its token, and whether another member had served
 *   it before
 * - `refused`: the lock was taken, and the ticket was not to wait
 * - `superseded`: the ticket had been asked for again before
 * - `done`: it took effect
 * - `not-there`: there was no such ticket, or its condition did not hold
 */
export type Outcome =
  | { readonly kind: "holds" | "waits"; readonly token: bigint; readonly moved: boolean }
  | { readonly kind: "refused" | "superseded" | "done" | "not-there" };

/** What a table holds after everything up to a revision. */
export interface StateHash {
  readonly revision: bigint;
  readonly low: number;
  readonly high: number;
}

/** What one node appends in one write. */
export interface Entry {
  /** What a reader must know to go on. */
  readonly level: number;
  /** The writer knows the outcomes of its entries up to this sequence, and never writes one of them again. */
  readonly settled: number;
  /** The writer's own table, before it wrote this; absent where it has none to show. */
  readonly seen: StateHash | undefined;
  readonly commands: readonly Command[];
}

/** An entry, and where it stands in the log. */
export interface LoggedEntry {
  readonly memberId: string;
  readonly sequence: number;
  readonly revision: bigint;
  readonly entry: Entry;
}

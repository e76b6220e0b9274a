import type { TicketContent } from "./ticket-content.js";
import type { LockName, TicketRef } from "./ticket-ref.js";

/** Fencing token: a ticket's place in the log, and so in its lock's queue. Every later ticket has a higher token. */
export type FencingToken = bigint & { readonly __brand: "FencingToken" };

/** Commands in one entry, at most: a token is `(revision + offset) * 4096 + index`. */
export const commandsPerEntry = 4096;

/** The highest level of log entries that this version can read. */
export const knownLevel = 2;

/** The level from which on there are other kinds than exclusive locks, several locks at once, labels, values and force. */
export const kindsLevel = 2;

/**
 * Why a ticket is removed. Each cause has a condition of its own:
 *
 * - `released`: the requester gave the key back; the ticket must hold
 * - `expired`: the TTL has passed; the writer must serve the ticket
 * - `cancelled`: nobody waits for it any more; the writer must serve the ticket
 * - `abandoned`: its member is gone and nobody came back for it; no other member may serve it yet
 */
export type RemoveCause = "released" | "expired" | "cancelled" | "abandoned";

/** Adds a ticket that the writer serves. If the ticket is there already, the writer serves it from then on. */
export interface CreateCommand extends TicketRef {
  readonly kind: "create";
  readonly content: TicketContent;
  /**
   * How often the requester had asked for this ticket before. A request with a lower number than the ticket's is
   * outdated.
   */
  readonly attempt: number;
  /** Adds the ticket only if it holds at once. */
  readonly try: boolean;
}

/** Gives a ticket that holds its full TTL again; the writer serves it from then on. */
export interface RenewCommand extends TicketRef {
  readonly kind: "renew";
  readonly token: bigint;
  /** In milliseconds; 0 keeps the one that it has. */
  readonly ttlMs: number;
  /** Makes an exclusive ticket a shared one. A ticket that is neither is not renewed, and the command is refused. */
  readonly downgrade: boolean;
  /** Takes the place of the ticket's value; undefined keeps it. */
  readonly value?: string | undefined;
}

/** Removes a ticket. */
export interface RemoveCommand extends TicketRef {
  readonly kind: "remove";
  readonly token: bigint;
  readonly cause: RemoveCause;
  /** With `abandoned`: the member that is gone; else empty. */
  readonly memberId: string;
}

/** Makes the writer serve a ticket whose member is gone, unless another member serves it by then. */
export interface AdoptCommand extends TicketRef {
  readonly kind: "adopt";
  readonly token: bigint;
  readonly memberId: string;
}

/** Removes a ticket by hand, whoever serves it, and keeps a record of that. */
export interface ForceCommand {
  readonly kind: "force";
  /** One of its names. */
  readonly name: LockName;
  readonly token: bigint;
  /** Who wants it, and why. */
  readonly actor: string;
  readonly reason: string;
  /** When, in milliseconds of Unix time, by the writer's clock. */
  readonly unixMs: number;
}

/** What is kept of a ticket that was removed by hand. */
export interface ForcedRecord extends Omit<ForceCommand, "kind"> {
  readonly owner: string;
  /** Whether it held its lock; otherwise it waited. */
  readonly held: boolean;
  /** The command's place in the log, as tokens are. */
  readonly place: bigint;
}

/** Records are dropped that are so much older than the latest, in milliseconds, and the oldest beyond so many. */
export const forcedKeptMs = 7 * 24 * 60 * 60 * 1000;
export const forcedKept = 10_000;

/** Makes all later tokens higher than this one. */
export interface RaiseFloorCommand {
  readonly kind: "raise-floor";
  readonly token: bigint;
}

/** Allows entries of this level to follow. */
export interface RaiseLevelCommand {
  readonly kind: "raise-level";
  readonly level: number;
}

/** One change that a node wants. The fold decides at the command's place in the log whether it takes effect. */
export type Command =
  CreateCommand | RenewCommand | RemoveCommand | AdoptCommand | ForceCommand | RaiseFloorCommand | RaiseLevelCommand;

/**
 * What became of a command, decided at its place in the log:
 *
 * - `holds`, `waits`: the ticket is in the table and holds or waits; with its token, and whether another member had
 *   served it before
 * - `refused`: the lock was taken, and the ticket was not to wait; or the ticket cannot be downgraded
 * - `superseded`: a later request had asked for the same ticket already
 * - `done`: it took effect
 * - `not-there`: there was no such ticket, or its condition did not hold
 */
export type Outcome =
  | { readonly kind: "holds" | "waits"; readonly token: bigint; readonly moved: boolean }
  | { readonly kind: "refused" | "superseded" | "done" | "not-there" };

/** The hash of a table after everything up to a revision. */
export interface StateHash {
  readonly revision: bigint;
  readonly low: number;
  readonly high: number;
}

/** What one node writes in one put. */
export interface Entry {
  /** The level that a reader must know to go on. */
  readonly level: number;
  /** The writer knows the outcomes of its entries up to this sequence, and never writes one of them again. */
  readonly settled: number;
  /** The hash of the writer's table before it wrote this entry; absent when it has none to show. */
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

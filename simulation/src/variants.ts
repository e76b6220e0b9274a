import {
  DeleteWithoutRevision,
  GhostsStay,
  NoLeaseGuard,
  SilentRejoin,
  TakeoverThatPurges,
  TakeoverWithoutTtl,
  TtlWhileWaiting,
  UpdateWithoutRevision,
} from "./broken-logs.js";
import type { Locks } from "../../packages/metasrv/src/services/locks.js";
import { EarlyUnlocks, HoldsEndWithSession, MovedIsExpired, RenumberedGrants } from "./broken-locks.js";
import type { Invariant } from "./invariants.js";
import { writesForGoneMembers } from "./gone-members.js";
import { RecklessCommitter } from "./reckless-committer.js";
import { unlocksTheLatest } from "./mistaken-commands.js";
import type { Variant } from "./simulation.js";
import {
  delayedRenewals,
  delayedRequests,
  lateFeeds,
  lateRenewals,
  longWaits,
  lostLeases,
  lostNodes,
  onlySessions,
  restlessClients,
} from "./telling-profiles.js";

/** Something that is wrong on purpose. */
export interface BrokenVariant {
  readonly create: () => Variant;
  /** What it breaks; any of them may show first. */
  readonly breaks: readonly Invariant[];
  /** Within how many steps it must be found, over all seeds from 1 on. */
  readonly withinSteps: number;
}

/** Every way in which metasrv or its client could be wrong that the simulation must find. */
export const variants: ReadonlyMap<string, BrokenVariant> = new Map<string, BrokenVariant>([
  [
    "grants are told without a lease",
    {
      create: () => ({ node: { wrapLog: (log) => new NoLeaseGuard(log) }, profile: lostLeases }),
      breaks: ["I4"],
      withinSteps: 50_000,
    },
  ],
  [
    "a node that joins again keeps its tickets",
    {
      create: () => ({ node: { wrapLog: (log) => new SilentRejoin(log) }, profile: lostLeases }),
      breaks: ["I3", "I4"],
      withinSteps: 50_000,
    },
  ],
  [
    "takeover leaves no TTL",
    {
      create: () => ({ node: { wrapLog: (log) => new TakeoverWithoutTtl(log) }, profile: lostNodes }),
      breaks: ["I4"],
      withinSteps: 20_000,
    },
  ],
  [
    "takeover removes what is held",
    {
      create: () => ({ node: { wrapLog: (log) => new TakeoverThatPurges(log) }, profile: lostNodes }),
      breaks: ["I4"],
      withinSteps: 20_000,
    },
  ],
  [
    "renewal and adoption do not compare the revision",
    {
      create: () => ({ node: { wrapLog: (log) => new UpdateWithoutRevision(log) }, profile: lateRenewals }),
      breaks: ["I4", "I6", "I7", "I9"],
      withinSteps: 200_000,
    },
  ],
  [
    "expiry does not compare the revision",
    {
      create: () => ({
        node: { wrapLog: (log) => new DeleteWithoutRevision(log, "modRevision") },
        profile: lateFeeds,
      }),
      breaks: ["I4"],
      withinSteps: 50_000,
    },
  ],
  [
    "unlock does not compare the token",
    {
      create: () => ({
        node: { wrapLog: (log) => new DeleteWithoutRevision(log, "createRevision") },
        profile: restlessClients,
      }),
      breaks: ["I4", "I8"],
      withinSteps: 100_000,
    },
  ],
  [
    "the fencing token is a node's own count",
    { create: () => ({ node: { wrapLocks: ownCount() } }), breaks: ["I2", "I3"], withinSteps: 20_000 },
  ],
  [
    "two creations of a name share a transaction",
    {
      create: () => ({ node: { createCommitter: (options) => new RecklessCommitter(options) } }),
      breaks: ["I1"],
      withinSteps: 100_000,
    },
  ],
  [
    "tickets are written for members that are gone",
    {
      create: () => ({ node: { createCommitter: writesForGoneMembers }, profile: lostLeases }),
      breaks: ["I7"],
      withinSteps: 100_000,
    },
  ],
  [
    "the TTL runs while waiting",
    {
      create: () => ({ node: { wrapLog: (log, clock) => new TtlWhileWaiting(log, clock) } }),
      breaks: ["I4"],
      withinSteps: 100_000,
    },
  ],
  [
    "tickets that nobody waits for stay",
    { create: () => ({ node: { wrapLog: (log) => new GhostsStay(log) } }), breaks: ["I6", "I7"], withinSteps: 200_000 },
  ],
  [
    "a client's retry is a new ticket",
    { create: () => ({ client: { freshIds: true } }), breaks: ["I7"], withinSteps: 20_000 },
  ],
  [
    "a client does not count its attempts",
    {
      create: () => ({
        client: { forgetsToCount: true },
        profile: delayedRequests,
      }),
      breaks: ["I3", "I4"],
      withinSteps: 800_000,
    },
  ],
  [
    "a client trusts a node's count of a long wait",
    {
      create: () => ({
        client: { trustsLongWaits: true },
        profile: longWaits,
      }),
      breaks: ["I4"],
      withinSteps: 200_000,
    },
  ],
  [
    "a client forgets attempts that were not answered",
    {
      create: () => ({
        client: { forgetsAttempts: true },
        profile: delayedRenewals,
      }),
      breaks: ["I4"],
      withinSteps: 100_000,
    },
  ],
  [
    "holds end with their session, even those that have moved to another node",
    {
      create: () => ({
        node: { wrapLocks: (locks) => new HoldsEndWithSession(locks) },
        profile: onlySessions,
      }),
      breaks: ["I4"],
      withinSteps: 20_000,
    },
  ],
  [
    "a lock that was renewed elsewhere is told to have expired",
    {
      create: () => ({ node: { wrapLocks: (locks) => new MovedIsExpired(locks) }, profile: onlySessions }),
      breaks: ["I4"],
      withinSteps: 50_000,
    },
  ],
  [
    "a session answers unlocks before the store does",
    {
      create: () => ({ node: { wrapLocks: (locks) => new EarlyUnlocks(locks) }, profile: onlySessions }),
      breaks: ["I8"],
      withinSteps: 20_000,
    },
  ],
  [
    "unlock by number releases another lock of the session",
    {
      create: () => ({ node: { mistake: unlocksTheLatest }, profile: onlySessions }),
      breaks: ["I4", "I8"],
      withinSteps: 50_000,
    },
  ],
  [
    "a client counts from the answer",
    { create: () => ({ client: { countsFromAnswer: true } }), breaks: ["I3", "I4"], withinSteps: 20_000 },
  ],
]);

/** Tokens that only one node counts: they rise there, and mean nothing elsewhere. */
function ownCount() {
  let count = 0n;
  return (locks: Locks): Locks => new RenumberedGrants(locks, () => ++count);
}

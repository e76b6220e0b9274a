import type { Locks } from "../../packages/metasrv/src/api/locks.js";
import { Fold } from "../../packages/metasrv/src/fold/fold.js";
import type { CreateQueue } from "../../packages/metasrv/src/fold/lock-table.js";
import { knownLevel } from "../../packages/metasrv/src/model/command.js";
import { losesChunks, trimsTooMuch, writesForGoneMembers } from "./broken-clients.js";
import {
  BlurredFold,
  DivergingFold,
  downgradesNothing,
  ForgetfulFold,
  MistakenFold,
  oneTooMany,
  OvertakingFold,
  sharesAll,
} from "./broken-folds.js";
import { EarlyUnlocks, HoldsEndWithSession, MovedIsExpired, OwnFloors, RenumberedGrants } from "./broken-locks.js";
import {
  ExpiryEndsAnyHold,
  GhostsStay,
  HastyRefusals,
  NoLeaseGuard,
  SilentRejoin,
  TakeoverThatPurges,
  TakeoverWithoutTtl,
  TtlWhileWaiting,
  UnlockWithoutToken,
} from "./broken-logs.js";
import { FirstLimitQueue, NewestLimitQueue, ReadersFirstQueue } from "./broken-queues.js";
import type { BrokenVariant } from "./broken-variant.js";
import { clientVariants } from "./client-variants.js";
import { groupVariants } from "./group-variants.js";
import { unlocksTheLatest } from "./mistaken-commands.js";
import {
  lateFeeds,
  lostLeases,
  lostLeasesUnderLoad,
  lostNodes,
  manySnapshots,
  onlySessions,
  repeatedEntries,
  restlessClients,
  sharedLocks,
  sharedLocksInPeace,
} from "./telling-profiles.js";

/** All mistakes of metasrv or its client that the simulation must find. */
export const variants: ReadonlyMap<string, BrokenVariant> = new Map<string, BrokenVariant>([
  [
    "grants are told without a lease",
    {
      create: () => ({ node: { wrapLog: (log) => new NoLeaseGuard(log) }, profile: lostLeases }),
      breaks: ["I4"],
      withinSteps: 100_000,
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
    "expiry ends a hold that another node serves",
    {
      create: () => ({ node: { wrapLog: (log) => new ExpiryEndsAnyHold(log) }, profile: lateFeeds }),
      breaks: ["I4"],
      withinSteps: 50_000,
    },
  ],
  [
    "unlock does not compare the token",
    {
      create: () => ({ node: { wrapLog: (log) => new UnlockWithoutToken(log) }, profile: restlessClients }),
      breaks: ["I4", "I8"],
      withinSteps: 100_000,
    },
  ],
  [
    "the fencing token is a node's own count",
    { create: () => ({ node: { wrapLocks: ownCount() } }), breaks: ["I2", "I3"], withinSteps: 20_000 },
  ],
  [
    "an entry that is written twice takes effect twice",
    {
      create: () => ({ node: { createFold: () => new ForgetfulFold() }, profile: repeatedEntries }),
      breaks: ["I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "code"],
      withinSteps: 200_000,
    },
  ],
  [
    "one node folds the log into another table",
    {
      create: () => ({
        node: { createFold: (node) => (node === "node1" ? new DivergingFold() : new Fold()) },
        profile: { nodes: 3, firstLevel: 1, upgrades: 0 },
      }),
      breaks: ["code"],
      withinSteps: 50_000,
    },
  ],
  [
    "a semaphore lets in one permit too many",
    {
      create: () => ({ node: { createFold: () => new MistakenFold(oneTooMany) }, profile: sharedLocks }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 50_000,
    },
  ],
  [
    "shared holders get in beside an exclusive one",
    {
      create: () => ({ node: { createFold: () => new MistakenFold(sharesAll) }, profile: sharedLocks }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 50_000,
    },
  ],
  [
    "a downgrade keeps others out",
    {
      create: () => ({ node: { createFold: () => new MistakenFold(downgradesNothing) }, profile: sharedLocksInPeace }),
      breaks: ["I6"],
      withinSteps: 100_000,
    },
  ],
  [
    "a try-lock overtakes those who wait",
    {
      create: () => ({ node: { createFold: () => new OvertakingFold() }, profile: sharedLocks }),
      breaks: ["I2", "I5", "I6", "I7", "I9", "code"],
      withinSteps: 100_000,
    },
  ],
  [
    "a reader overtakes a waiting writer",
    {
      create: () => ({
        node: { createFold: () => foldOf((name) => new ReadersFirstQueue(name)) },
        profile: sharedLocks,
      }),
      breaks: ["I2", "I5"],
      withinSteps: 50_000,
    },
  ],
  [
    "the limit of the first ticket counts, not the smallest",
    {
      create: () => ({ node: { createFold: () => foldOf((name) => new FirstLimitQueue(name)) }, profile: sharedLocks }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 50_000,
    },
  ],
  [
    "the limit of the newest ticket counts, not the smallest",
    {
      create: () => ({
        node: { createFold: () => foldOf((name) => new NewestLimitQueue(name)) },
        profile: sharedLocks,
      }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 50_000,
    },
  ],
  [
    "the floor is a ticket's own token",
    {
      create: () => ({ node: { wrapLocks: (locks) => new OwnFloors(locks) }, profile: sharedLocks }),
      breaks: ["I3"],
      withinSteps: 20_000,
    },
  ],
  [
    "a snapshot has what came after it",
    {
      create: () => ({ node: { createFold: () => new BlurredFold() }, profile: manySnapshots }),
      breaks: ["code"],
      withinSteps: 200_000,
    },
  ],
  [
    "a snapshot has not all its chunks",
    {
      create: () => ({ node: { changeParts: losesChunks }, profile: manySnapshots }),
      breaks: ["I6", "I7"],
      withinSteps: 100_000,
    },
  ],
  [
    "trimming deletes what no snapshot covers",
    {
      create: () => ({ node: { changeParts: trimsTooMuch }, profile: manySnapshots }),
      breaks: ["I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "code"],
      withinSteps: 200_000,
    },
  ],
  [
    "a try-lock is refused by what a node knew before",
    {
      create: () => ({ node: { wrapLog: (log) => new HastyRefusals(log) }, profile: lateFeeds }),
      breaks: ["I9"],
      withinSteps: 200_000,
    },
  ],
  [
    "entries are written for members that are gone",
    {
      create: () => ({ node: { changeParts: writesForGoneMembers }, profile: lostLeasesUnderLoad }),
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
    "holds end with their session, even those that have moved to another node",
    {
      create: () => ({
        node: { wrapLocks: (locks) => new HoldsEndWithSession(locks) },
        profile: onlySessions,
      }),
      breaks: ["I4"],
      withinSteps: 100_000,
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
  ...clientVariants,
  ...groupVariants,
]);

/** A fold that is right but for the queues of its locks. */
function foldOf(createQueue: CreateQueue): Fold {
  return new Fold(undefined, knownLevel, undefined, createQueue);
}

/** Tokens that one node counts alone. They rise at that node, and mean nothing at others. */
function ownCount() {
  let count = 0n;
  return (locks: Locks): Locks => new RenumberedGrants(locks, () => ++count);
}

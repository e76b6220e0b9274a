import {
  AnyTokenFold,
  FirstOnlyFold,
  forcesFirstOnly,
  HalfGroupFold,
  renewsFirstOnly,
  repeatsFirstOnly,
  RewritingFold,
} from "./broken-groups.js";
import { mixedPartFloors, ownPartFloors, PartFloors, SilentForce } from "./broken-locks.js";
import { ForcesTheFirst } from "./broken-logs.js";
import type { BrokenVariant } from "./broken-variant.js";
import { groupedLocks, groupedLocksInPeace } from "./telling-profiles.js";

/** Mistakes with several locks at once, and with releases by force. */
export const groupVariants: readonly (readonly [string, BrokenVariant])[] = [
  [
    "half of several locks is held",
    {
      create: () => ({ node: { createFold: () => new HalfGroupFold() }, profile: groupedLocks }),
      breaks: ["I2"],
      withinSteps: 20_000,
    },
  ],
  [
    "a try for several locks looks at the first of them only",
    {
      create: () => ({ node: { createFold: () => new FirstOnlyFold() }, profile: groupedLocks }),
      breaks: ["I2", "I5", "I6", "I9"],
      withinSteps: 100_000,
    },
  ],
  [
    "a release by force takes the lock from whoever holds it",
    {
      create: () => ({ node: { createFold: () => new AnyTokenFold() }, profile: groupedLocks }),
      breaks: ["I2", "I3", "I4", "I5", "I9"],
      withinSteps: 20_000,
    },
  ],
  [
    "a release by force is written for whoever holds the lock",
    {
      create: () => ({ node: { wrapLog: (log) => new ForcesTheFirst(log) }, profile: groupedLocks }),
      breaks: ["I8", "I9"],
      withinSteps: 20_000,
    },
  ],
  [
    "a release by force leaves all locks but the first",
    {
      create: () => ({ node: { createFold: () => new RewritingFold(forcesFirstOnly) }, profile: groupedLocksInPeace }),
      breaks: ["I3", "I6", "I9"],
      withinSteps: 50_000,
    },
  ],
  [
    "a release by force is not told",
    {
      create: () => ({ node: { wrapLocks: (locks) => new SilentForce(locks) }, profile: groupedLocksInPeace }),
      breaks: ["I6"],
      withinSteps: 200_000,
    },
  ],
  [
    "the floor of each of several locks is the token",
    {
      create: () => ({ node: { wrapLocks: (locks) => new PartFloors(locks, ownPartFloors) }, profile: groupedLocks }),
      breaks: ["I3"],
      withinSteps: 20_000,
    },
  ],
  [
    "the floors of several locks are mixed up",
    {
      create: () => ({ node: { wrapLocks: (locks) => new PartFloors(locks, mixedPartFloors) }, profile: groupedLocks }),
      breaks: ["I3"],
      withinSteps: 50_000,
    },
  ],
  [
    "a renewal of several locks leaves the first of them only",
    {
      create: () => ({ node: { createFold: () => new RewritingFold(renewsFirstOnly) }, profile: groupedLocks }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 20_000,
    },
  ],
  [
    "a request for several locks that comes again leaves the first of them only",
    {
      create: () => ({ node: { createFold: () => new RewritingFold(repeatsFirstOnly) }, profile: groupedLocks }),
      breaks: ["I2", "I4", "I5", "I9"],
      withinSteps: 20_000,
    },
  ],
];

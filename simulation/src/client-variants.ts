import {
  CountsFromAnswer,
  Deaf,
  ForgetsAttempts,
  forgetsToCount,
  freshIds,
  ReleasesTheLatest,
  slowClock,
  TrustsLongWaits,
  WithdrawsNothing,
} from "./broken-channels.js";
import type { BrokenVariant } from "./broken-variant.js";
import { keepsWhatCrossed, repeatsRequests } from "./mistaken-commands.js";
import {
  delayedRenewals,
  delayedRequests,
  fickleInPeace,
  groupedLocksInPeace,
  longWaits,
  onlySessions,
} from "./telling-profiles.js";

/** Mistakes of the client. It is the real one with a wrong part. */
export const clientVariants: readonly (readonly [string, BrokenVariant])[] = [
  [
    "a client's retry is a new ticket",
    {
      create: () => ({ client: { wrapChannel: (channel, { random }) => freshIds(channel, random) } }),
      breaks: ["I7"],
      withinSteps: 20_000,
    },
  ],
  [
    "a client does not count its attempts",
    {
      create: () => ({ client: { wrapChannel: forgetsToCount }, profile: delayedRequests }),
      breaks: ["I3", "I4"],
      withinSteps: 800_000,
    },
  ],
  [
    "a client trusts a node's count of a long wait",
    {
      create: () => ({
        client: { wrapChannel: (channel, { clock }) => new TrustsLongWaits(channel, clock) },
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
        client: { wrapChannel: (channel) => new ForgetsAttempts(channel) },
        profile: delayedRenewals,
      }),
      breaks: ["I4"],
      withinSteps: 100_000,
    },
  ],
  [
    "a client counts from the answer",
    {
      create: () => ({ client: { wrapChannel: (channel, { clock }) => new CountsFromAnswer(channel, clock) } }),
      breaks: ["I3", "I4"],
      withinSteps: 20_000,
    },
  ],
  [
    "a client's clock counts too little",
    { create: () => ({ client: { wrapClock: slowClock } }), breaks: ["I3", "I4"], withinSteps: 20_000 },
  ],
  [
    "a client releases the lock that it was granted last",
    {
      create: () => ({
        client: { wrapChannel: (channel, { clock }) => new ReleasesTheLatest(channel, clock) },
        profile: onlySessions,
      }),
      breaks: ["I4", "I8"],
      withinSteps: 50_000,
    },
  ],
  [
    "a client does not hear of losses",
    {
      create: () => ({
        client: { wrapChannel: (channel, { clock }) => new Deaf(channel, clock) },
        profile: groupedLocksInPeace,
      }),
      breaks: ["I6"],
      withinSteps: 200_000,
    },
  ],
  [
    "a session sends each request twice, under two numbers",
    {
      create: () => ({ client: { changeRequest: repeatsRequests }, profile: onlySessions }),
      breaks: ["I2", "I4"],
      withinSteps: 20_000,
    },
  ],
  [
    "a client withdraws nothing",
    {
      create: () => ({
        client: { wrapChannel: (channel) => new WithdrawsNothing(channel) },
        profile: fickleInPeace,
      }),
      breaks: ["I7"],
      withinSteps: 50_000,
    },
  ],
  [
    "a client keeps a lock that was granted after it had given it up",
    {
      create: () => ({ client: { changeRequest: keepsWhatCrossed }, profile: fickleInPeace }),
      breaks: ["I7"],
      withinSteps: 100_000,
    },
  ],
];

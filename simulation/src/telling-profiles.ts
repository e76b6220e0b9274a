import { exclusive, shared } from "../../packages/metasrv/src/model/ticket-content.js";
import { peace, type Profile } from "./profile.js";

// In most runs, a mistake does not show. In these kinds of runs it does.

/** Nodes do not hear from the store, and are members no more without knowing it. */
export const lostLeases: Partial<Profile> = {
  nodes: 2,
  drift: 0,
  names: ["a"],
  shares: [exclusive],
  faults: ["store cut from"],
  faultEveryMs: 3_000,
  longestFaultMs: 12_000,
  memberTtlSeconds: 2,
  ttlsMs: [500, 3_000],
  holdPart: 1,
  thinkMs: 200,
};

/** The same, and many still ask the nodes that are no members any more. */
export const lostLeasesUnderLoad: Partial<Profile> = { ...lostLeases, clients: 7, sessions: 0, roaming: 0.5 };

/** Nodes go, and come back after others have taken over their tickets. */
export const lostNodes: Partial<Profile> = {
  nodes: 3,
  drift: 0,
  faults: ["node crash", "node stop"],
  faultEveryMs: 1_000,
  longestFaultMs: 3_000,
  memberTtlSeconds: 2,
  ttlsMs: [6_000],
  holdPart: 1,
  roaming: 0.5,
};

/** Clients renew at other nodes than before, and those hear of it late. */
export const lateFeeds: Partial<Profile> = {
  nodes: 3,
  sessions: 0,
  drift: 0,
  roaming: 0.5,
  restlessness: 0,
  holdPart: 3,
  faults: ["watch lag", "watch silent"],
  faultEveryMs: 300,
  longestFaultMs: 3_000,
  ttlsMs: [1_000],
  storeDelayMs: 1,
  clientDelayMs: 1,
  thinkMs: 20,
};

/** Clients do not wait for answers. */
export const restlessClients: Partial<Profile> = {
  sessions: 0,
  drift: 0,
  restlessness: 0.3,
  holdPart: 1,
  ttlsMs: [400],
  thinkMs: 20,
};

/** Requests arrive long after requests that were sent later, and nodes hear late even of what they did themselves. */
export const delayedRequests: Partial<Profile> = {
  nodes: 2,
  clients: 6,
  sessions: 0,
  names: ["a", "b"],
  ttlsMs: [100],
  thinkMs: 20,
  holdPart: 0.5,
  restlessness: 0.5,
  clientDelayMs: 40,
  faults: ["watch lag", "watch silent", "client cut"],
  faultEveryMs: 300,
  longestFaultMs: 3_000,
};

/** Renewals arrive long after renewals that were sent later, and ask for another TTL. */
export const delayedRenewals: Partial<Profile> = {
  nodes: 2,
  clients: 6,
  sessions: 0,
  names: ["a", "b", "c", "d", "e", "f", "g", "h"],
  drift: 0,
  thinkMs: 20,
  restlessness: 0,
  ttlsMs: [500, 6_000],
  holdPart: 3,
  roaming: 0.5,
  storeDelayMs: 1,
  clientDelayMs: 1,
  faults: ["node pause"],
  faultEveryMs: 300,
  longestFaultMs: 1_500,
};

/** Waits are so long that clocks at different rates disagree about them. */
export const longWaits: Partial<Profile> = {
  drift: 0.0005,
  clients: 6,
  names: ["orders"],
  shares: [exclusive],
  grouping: 0,
  forceEveryMs: 0,
  ttlsMs: [100, 8_000],
  holdPart: 1,
  thinkMs: 20,
  clientDelayMs: 1,
  storeDelayMs: 1,
  faults: [],
  restlessness: 0,
  fickleness: 0,
};

/** Snapshots are written all the time, by leaders that go away, and are read by nodes that come. */
export const manySnapshots: Partial<Profile> = {
  nodes: 3,
  logBytes: 500,
  firstLevel: 1,
  upgrades: 0,
  memberTtlSeconds: 2,
  faults: ["node crash", "node stop", "compaction", "watch broken", "store cut from"],
  faultEveryMs: 500,
  longestFaultMs: 3_000,
};

/** Writes arrive again long after they took effect, when the entries that they wrote are trimmed already. */
export const repeatedEntries: Partial<Profile> = { ...manySnapshots, storeFaults: 0.2, faults: [] };

/** Every client has a session to each node. */
export const onlySessions: Partial<Profile> = { sessions: 1 };

/** Many share few locks, in all ways. */
export const sharedLocks: Partial<Profile> = {
  clients: 7,
  names: ["orders"],
  firstLevel: 2,
  upgrades: 0,
  shares: [exclusive, shared, { permits: 1, limit: 2 }, { permits: 2, limit: 3 }],
};

/** The same, and nothing fails: whoever may hold is told at once. */
export const sharedLocksInPeace: Partial<Profile> = {
  ...sharedLocks,
  faults: [],
  storeFaults: 0,
  restlessness: 0,
  ttlsMs: [6_000],
  holdPart: 3,
};

/** Many ask for several locks at once, which others want one by one; and operators take them away. */
export const groupedLocks: Partial<Profile> = {
  ...sharedLocks,
  names: ["a", "b", "c"],
  groups: [
    ["a", "b"],
    ["b", "c"],
    ["c", "a"],
    ["a", "b", "c"],
  ],
  grouping: 0.6,
  forceEveryMs: 500,
};

/** The same, and nothing fails. */
export const groupedLocksInPeace: Partial<Profile> = { ...groupedLocks, ...peace };

/** Nothing fails, but users change their minds and close their clients. */
export const fickleInPeace: Partial<Profile> = { ...peace, sessions: 1, fickleness: 0.5, ttlsMs: [6_000], thinkMs: 20 };

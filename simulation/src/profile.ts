import { exclusive, type Share, shared } from "../../packages/metasrv/src/model/ticket-content.js";
import type { Random } from "./random.js";

/** The names of what can go wrong. */
export const faultKinds = [
  "node pause",
  "node crash",
  "node stop",
  "client pause",
  "client cut",
  "client crash",
  "store cut to",
  "store cut from",
  "store cut",
  "store leader",
  "store full",
  "compaction",
  "watch broken",
  "watch silent",
  "watch lag",
  "storm",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/**
 * What one run is like. It is drawn from the seed, so that runs differ in kind: some have only some faults or
 * durations.
 */
export interface Profile {
  readonly nodes: number;
  readonly clients: number;
  /** The part of the clients that make their calls over sessions. */
  readonly sessions: number;
  /** How many locks a client with sessions uses at a time, at most. */
  readonly users: number;
  /** After how long without a sign of life a session is given up. */
  readonly sessionTimeoutMs: number;
  /** How long a node that stops waits for its clients to move. With 0, it does not tell them. */
  readonly drainMs: number;
  readonly names: readonly string[];
  /** The part by which a clock may run fast or slow. With 0, no client gets a margin. */
  readonly drift: number;
  readonly memberTtlSeconds: number;
  readonly requestTimeoutMs: number;
  readonly waiterGraceMs: number;
  /** How much of a lock clients ask for. */
  readonly shares: readonly Share[];
  readonly ttlsMs: readonly number[];
  /** How long a client holds at most, as a part of the TTL. */
  readonly holdPart: number;
  readonly thinkMs: number;
  readonly storeDelayMs: number;
  readonly clientDelayMs: number;
  /** How often a client asks for several locks at once, and for which of them then. */
  readonly grouping: number;
  readonly groups: readonly (readonly string[])[];
  /** The average pause between two releases by force; 0: there are none. */
  readonly forceEveryMs: number;
  /** How often a connection between client and node breaks during a call. */
  readonly restlessness: number;
  /** How often a user changes its mind while it waits, or closes its client. */
  readonly fickleness: number;
  /** How often a call that is a request of its own goes to another node than the client meant. */
  readonly roaming: number;
  /** Probability of each way to lose or repeat a request to the store. */
  readonly storeFaults: number;
  /** The log may grow to this size, in bytes, before a snapshot is written. */
  readonly logBytes: number;
  /** The highest level of log entries that nodes know when the run begins, and how often a start is an upgrade. */
  readonly firstLevel: number;
  readonly upgrades: number;
  readonly faults: readonly FaultKind[];
  /** The average pause between two faults. */
  readonly faultEveryMs: number;
  readonly longestFaultMs: number;
}

const part = (permits: number, limit: number): Share => ({ permits, limit });
const mixed = [exclusive, shared, part(1, 2), part(1, 3), part(2, 3), part(2, 5)];

const names = ["orders", "a/b", "a%2Fb", "täglich"];

export function drawProfile(random: Random): Profile {
  const profile: Omit<Profile, "grouping" | "groups" | "forceEveryMs"> = {
    nodes: random.pick([1, 2, 2, 3, 3, 4]),
    clients: 2 + random.int(6),
    sessions: random.pick([0.5, 0.5, 1]),
    users: 1 + random.int(3),
    sessionTimeoutMs: random.pick([600, 1_500, 6_000]),
    drainMs: random.pick([0, 500, 3_000]),
    names: names.slice(0, random.pick([1, 1, 2, names.length])),
    drift: random.pick([0, 0, 0.0005]),
    memberTtlSeconds: random.pick([2, 3, 5]),
    requestTimeoutMs: random.pick([500, 2_000, 5_000, 10_000]),
    waiterGraceMs: random.pick([200, 1_000, 3_000]),
    shares: random.pick([[exclusive], [exclusive, shared, shared], [shared, part(1, 2), part(2, 3)], mixed]),
    ttlsMs: random.pick([[400], [1_000], [500, 3_000], [300, 1_000, 6_000]]),
    holdPart: random.pick([0.3, 1, 3]),
    thinkMs: random.pick([20, 200, 1_000]),
    storeDelayMs: random.pick([1, 5, 40]),
    clientDelayMs: random.pick([1, 10, 80]),
    restlessness: random.pick([0, 0.1, 0.3]),
    fickleness: random.pick([0, 0.1, 0.3]),
    roaming: random.pick([0.05, 0.5]),
    storeFaults: random.pick([0, 0, 0.01, 0.05]),
    logBytes: random.pick([500, 2_000, 10_000, 1_000_000]),
    firstLevel: random.pick([1, 2, 2, 2]),
    upgrades: random.pick([0, 0.3]),
    faults: faultKinds.filter(() => random.chance(0.4)),
    faultEveryMs: random.pick([300, 1_000, 3_000, 10_000]),
    longestFaultMs: random.pick([500, 3_000, 12_000]),
  };
  return {
    ...profile,
    ...(random.chance(0.1) && peace),
    grouping: random.pick([0, 0.2, 0.6]),
    groups: Array.from({ length: 1 + random.int(4) }, () => drawGroup(random)),
    forceEveryMs: random.pick([0, 500, 3_000]),
  };
}

/** Nothing fails, and nothing is so slow that somebody gives up. */
export const peace = {
  faults: [],
  restlessness: 0,
  storeFaults: 0,
  storeDelayMs: 1,
  clientDelayMs: 10,
  requestTimeoutMs: 5_000,
  sessionTimeoutMs: 6_000,
} satisfies Partial<Profile>;

/** Whether nothing fails, so that everybody is told at once. */
export function isPeaceful({ faults, restlessness, storeFaults }: Profile): boolean {
  return faults.length === 0 && restlessness === 0 && storeFaults === 0;
}

/** Some names, at least two. */
function drawGroup(random: Random): readonly string[] {
  const others = [...names, "aside"];
  const count = 2 + random.int(others.length - 1);
  return Array.from({ length: count }, () => others.splice(random.int(others.length), 1)).flat();
}

/** The bounds of what one node accepts. Each can be configured. */
export interface Limits {
  /** Longest lock name, in bytes. */
  readonly maxNameBytes: number;
  /** Longest owner text, in UTF-8 bytes. */
  readonly maxOwnerBytes: number;
  /** TTL of a lock that was asked for without one, in milliseconds. */
  readonly defaultTtlMs: number;
  /** Shortest TTL, in milliseconds. */
  readonly minTtlMs: number;
  /** Longest TTL, in milliseconds. */
  readonly maxTtlMs: number;
  /** Tickets that may wait for one lock. */
  readonly maxWaitersPerLock: number;
  /** Tickets, held and waiting, that one node serves. */
  readonly maxTickets: number;
  /** Largest request message, in bytes. */
  readonly maxMessageBytes: number;
  /** How many commands of one session may be unanswered. Its waits and the locks that it holds count, too. */
  readonly maxSessionCommands: number;
  /** How many sessions that Attach opened one node serves. */
  readonly maxAttached: number;
  /** How many watches one node serves. One connection may have a tenth of them. */
  readonly maxWatches: number;
  /** How often each side of a session sends something, in milliseconds. */
  readonly heartbeatMs: number;
  /** After how long without a sign of life a session is given up, in milliseconds. */
  readonly sessionTimeoutMs: number;
  /** How long a wait outlives the connection of a client that can ask for it again, in milliseconds. */
  readonly waiterGraceMs: number;
}

/** The defaults. */
export const defaultLimits: Limits = {
  maxNameBytes: 1024,
  maxOwnerBytes: 256,
  defaultTtlMs: 10_000,
  minTtlMs: 10,
  maxTtlMs: 24 * 60 * 60 * 1000,
  maxWaitersPerLock: 10_000,
  maxTickets: 1_000_000,
  maxMessageBytes: 1024 * 1024,
  maxSessionCommands: 1_000_000,
  maxAttached: 10_000,
  maxWatches: 10_000,
  heartbeatMs: 2_000,
  sessionTimeoutMs: 6_000,
  waiterGraceMs: 3_000,
};

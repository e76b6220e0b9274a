import type { LockMode, Ticket } from "../log/ticket-log.js";

/**
 * The rule by which the tickets of one lock share it. Tickets are asked in the order of their creation, and the first
 * that is not admitted ends the row of holders: whoever comes later waits, so nobody is overtaken.
 */
export type LockModeRule = (holders: number, first: Ticket) => boolean;

/** Every mode with its rule. A new mode (shared, semaphore of n) is a new line here. */
export const lockModes: Readonly<Record<LockMode, LockModeRule>> = {
  exclusive: (holders) => holders === 0,
};

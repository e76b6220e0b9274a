/** How much of a lock a ticket takes, and how much it leaves to others: the one rule of all kinds of locks. */
export interface Share {
  /** What it takes, at least 1. */
  readonly permits: number;
  /** What all that hold the lock beside it may take together with it; at least its own permits. */
  readonly limit: number;
}

/** The limit of a ticket that sets none. */
export const noLimit = 2 ** 32 - 1;

/** Alone. */
export const exclusive: Share = { permits: 1, limit: 1 };

/** With any others that share. */
export const shared: Share = { permits: 1, limit: noLimit };

/** Whether a ticket with it can hold a lock at all. */
export function isPossible({ permits, limit }: Share): boolean {
  return permits <= limit;
}

/** Whether it holds its lock alone. */
export function isExclusive({ limit }: Share): boolean {
  return limit === 1;
}

/** Whether it holds its lock with any others that share it. */
export function isShared({ permits, limit }: Share): boolean {
  return permits === 1 && limit === noLimit;
}

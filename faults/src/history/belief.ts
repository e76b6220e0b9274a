import type { Ask } from "./ask.js";

/** The time in which a client believed to hold a lock, in microseconds. */
export interface Belief {
  readonly ask: Ask;
  readonly token: bigint;
  readonly fromUs: number;
  readonly toUs: number;
}

/**
 * The client's belief: from the grant to the first of: the end of its validity, its signal, giving back, its death.
 * Undefined when the ask was never granted, or the grant was over before its client could look at it.
 */
export function beliefOf(ask: Ask): Belief | undefined {
  const { token, grantedUs, untilUs, overUs, doneUs, diedUs, keepAlive } = ask;
  if (token === undefined || grantedUs === undefined || untilUs === undefined) {
    return undefined;
  }
  // Without a last word, a lock that was kept alive may have been believed in until its client died.
  const saidUs = keepAlive && doneUs === undefined && overUs === undefined ? Infinity : untilUs;
  const toUs = Math.min(saidUs, overUs ?? Infinity, doneUs ?? Infinity, diedUs ?? Infinity);
  return toUs > grantedUs ? { ask, token, fromUs: grantedUs, toUs } : undefined;
}

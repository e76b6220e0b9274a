import type { Ask } from "./ask.js";

/** The time in which a client believed that it holds a lock, in microseconds. */
export interface Belief {
  readonly ask: Ask;
  readonly token: bigint;
  readonly fromUs: number;
  readonly toUs: number;
}

/**
 * The belief of an ask's client. It begins with the grant. It ends with the first of: the end of its validity, its
 * signal, giving back, its death. Undefined when the ask was never granted, or when the grant was over before the
 * client could look at it.
 */
export function beliefOf(ask: Ask): Belief | undefined {
  const { token, grantedUs, untilUs, overUs, doneUs, diedUs, keepAlive } = ask;
  if (token === undefined || grantedUs === undefined || untilUs === undefined) {
    return undefined;
  }
  // If the client said nothing at the end, it may have believed in a lock that was kept alive until it died.
  const saidUs = keepAlive && doneUs === undefined && overUs === undefined ? Infinity : untilUs;
  const toUs = Math.min(saidUs, overUs ?? Infinity, doneUs ?? Infinity, diedUs ?? Infinity);
  return toUs > grantedUs ? { ask, token, fromUs: grantedUs, toUs } : undefined;
}

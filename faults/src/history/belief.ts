import type { Ask } from "./ask.js";

/** The time in which a client believed that it holds a lock, in microseconds. */
export interface Belief {
  readonly ask: Ask;
  readonly token: bigint;
  readonly fromUs: number;
  readonly toUs: number;
}

/** How much of one lock a client believed to hold for a time, by which floor. */
export interface PartBelief extends Belief {
  readonly lock: string;
  readonly floor: bigint;
  readonly permits: number;
  readonly limit: number;
}

/** A limit that allows any. */
const noLimit = 2 ** 32 - 1;

/**
 * What an ask's client believed to hold, of each of its locks: its belief, in two parts where it counted the lock as shared
 * from some time on. What an operator was about to take away counts no more.
 */
export function partsOf(ask: Ask): PartBelief[] {
  const belief = beliefOf(ask);
  if (belief === undefined) {
    return [];
  }
  const { token } = belief;
  const { lock, permits, limit, floor = token, others = [], otherFloors = [], downgradedUs = Infinity } = ask;
  const untilUs = Math.min(belief.toUs, ask.forcedUs ?? Infinity);
  const alone = { ...belief, lock, permits, limit, floor, toUs: Math.min(untilUs, downgradedUs) };
  const together = {
    ...alone,
    permits: 1,
    limit: noLimit,
    fromUs: Math.max(belief.fromUs, downgradedUs),
    toUs: untilUs,
  };
  const beside = others.map((part, at) => ({ ...belief, ...part, floor: otherFloors[at] ?? token, toUs: untilUs }));
  return [alone, together, ...beside].filter(({ fromUs, toUs }) => fromUs < toUs);
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

import type { Random } from "./random.js";

/**
 * Runs with `Math.random` and `Date.now` in the simulation's hands: the backoff's jitter takes the one, request
 * deadlines the other. Everything else is passed in.
 *
 * @param rejected - told of a promise that was rejected and that nobody looked at
 */
export async function withOwnGlobals<Result>(
  random: Random,
  nowMs: () => number,
  rejected: (reason: unknown) => void,
  run: () => Promise<Result>,
): Promise<Result> {
  const systemRandom = Math.random;
  const systemNow = Date.now;
  Math.random = () => random.next();
  Date.now = () => 1_700_000_000_000 + nowMs();
  process.on("unhandledRejection", rejected);
  try {
    return await run();
  } finally {
    process.off("unhandledRejection", rejected);
    Math.random = systemRandom;
    Date.now = systemNow;
  }
}

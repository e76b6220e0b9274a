import type { Random } from "./random.js";

/**
 * Runs with `Math.random` in the simulation's hands: the backoff's jitter takes it. Everything else is passed in.
 *
 * @param rejected - told of a promise that was rejected and that nobody looked at
 */
export async function withOwnGlobals<Result>(
  random: Random,
  rejected: (reason: unknown) => void,
  run: () => Promise<Result>,
): Promise<Result> {
  const systemRandom = Math.random;
  Math.random = () => random.next();
  process.on("unhandledRejection", rejected);
  try {
    return await run();
  } finally {
    process.off("unhandledRejection", rejected);
    Math.random = systemRandom;
  }
}

import type { Random } from "./random.js";

/**
 * Runs with a `Math.random` that draws from the simulation's seed, so that code which calls it behaves the same in
 * every run of a seed.
 *
 * @param rejected - told of a promise that was rejected without anybody listening
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

import type { Random } from "./random.js";

/**
 * Runs with a `Math.random` that draws from the simulation's seed, and without news of the garbage collector, so that code
 * which uses them behaves the same in every run of a seed.
 *
 * @param rejected - told of a promise that was rejected without anybody listening
 */
export async function withOwnGlobals<Result>(
  random: Random,
  rejected: (reason: unknown) => void,
  run: () => Promise<Result>,
): Promise<Result> {
  const systemRandom = Math.random;
  const systemRegistry = globalThis.FinalizationRegistry;
  Math.random = () => random.next();
  globalThis.FinalizationRegistry = SilentRegistry;
  process.on("unhandledRejection", rejected);
  try {
    return await run();
  } finally {
    process.off("unhandledRejection", rejected);
    Math.random = systemRandom;
    globalThis.FinalizationRegistry = systemRegistry;
  }
}

class SilentRegistry {
  readonly [Symbol.toStringTag] = "FinalizationRegistry";

  register(): void {
    // Nothing is collected while a run lasts, as far as the code under test knows.
  }

  unregister(): boolean {
    return false;
  }
}

import { LockMode } from "@metasrv/proto/metasrv/v1";
import { invalid } from "./check-argument.js";

/** How a lock is held: alone; with others that share it; or as so many of a number of permits. */
export type Mode = "exclusive" | "shared" | "semaphore";

/** How much of a lock is asked for, as requests carry it. */
export interface Share {
  readonly mode: LockMode;
  /** 0 without a semaphore. */
  readonly permits: number;
  readonly limit: number;
}

/** Alone. */
export const exclusive: Share = { mode: LockMode.UNSPECIFIED, permits: 0, limit: 0 };

const shared: Share = { mode: LockMode.SHARED, permits: 0, limit: 0 };

// One less than what the protocol has for "no limit".
const mostPermits = 2 ** 32 - 2;

/** @throws InvalidArgumentError unless it is a mode that `lock` takes, or absent */
export function checkMode(mode: unknown): Share {
  if (mode === undefined || mode === "exclusive") {
    return exclusive;
  }
  if (mode === "shared") {
    return shared;
  }
  throw invalid("mode", '"exclusive" or "shared" (for a semaphore, call semaphore())', mode);
}

/** @throws InvalidArgumentError unless it is a number of permits */
export function checkLimit(limit: unknown): number {
  return checkCount("limit", limit, mostPermits);
}

/** @throws InvalidArgumentError unless it is a number of permits, the limit at most; absent means 1 */
export function checkPermits(permits: unknown, limit: number): Share {
  return { mode: LockMode.SEMAPHORE, permits: checkCount("permits", permits ?? 1, limit), limit };
}

/** The mode of a request. */
export function modeOf({ mode }: Pick<Share, "mode">): Mode {
  switch (mode) {
    case LockMode.SHARED:
      return "shared";
    case LockMode.SEMAPHORE:
      return "semaphore";
    default:
      return "exclusive";
  }
}

function checkCount(argument: string, value: unknown, most: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  throw invalid(argument, `a whole number from 1 to ${most}`, value);
}

import type { Clock } from "@metasrv/wire";
import { isProgramFault } from "../../model/fatal-error.js";
import { asError, storeUnreachable } from "./etcd-errors.js";
import type { Pauses } from "./pauses.js";

/** What {@link untilReached} works with. */
export interface UntilReachedOptions {
  readonly clock: Clock;
  readonly pauses: Pauses;
  readonly hosts: readonly string[];
  /** How long it is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Whether there is no use in it any more. */
  readonly ended: () => boolean;
}

/** An attempt that had less time than this says nothing of etcd when it fails, in milliseconds. */
const tellingMs = 500;

/**
 * Does something at the start that needs etcd, again and again until it succeeds.
 *
 * @param attempt - given how much time is left, in milliseconds
 * @param failed - told why an attempt failed that another is to follow
 * @throws FatalError as the attempt; LockError `store-unavailable` when the time is over; with the reason of the last attempt that had a fair chance
 */
export async function untilReached<T>(
  { clock, pauses, hosts, connectTimeoutMs, ended }: UntilReachedOptions,
  attempt: (leftMs: number) => Promise<T>,
  failed: (reason: string) => void,
): Promise<T> {
  const deadlineMs = clock.now() + connectTimeoutMs;
  let reason: unknown;
  for (;;) {
    const leftMs = Math.max(1, deadlineMs - clock.now());
    try {
      return await attempt(leftMs);
    } catch (error) {
      if (isProgramFault(error)) {
        throw error;
      }
      if (reason === undefined || leftMs >= tellingMs) {
        reason = error;
      }
      if (ended() || clock.now() >= deadlineMs) {
        throw storeUnreachable(hosts, connectTimeoutMs, reason);
      }
      failed(asError(error).message);
      await pauses.wait();
    }
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { type MetaClient, WaitTimeoutError } from "@metasrv/meta-client";

const withinMs = 60_000;
const pauseMs = 10;

/**
 * Resolves when this many requests wait for a lock that is held. Only a wait that timed out tells how many wait.
 *
 * @throws Error when they do not wait within a minute
 */
export async function untilQueued(client: MetaClient, lock: string, waiters: number): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    try {
      await client.lock(lock, { waitMs: 1 });
      throw new Error(`${lock} was granted although it is held`);
    } catch (error) {
      if (!(error instanceof WaitTimeoutError)) {
        throw error;
      }
      if ((error.waiters ?? 0) >= waiters) {
        return;
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`only ${error.waiters ?? 0} wait`, { cause: error });
      }
      await sleep(pauseMs);
    }
  }
}

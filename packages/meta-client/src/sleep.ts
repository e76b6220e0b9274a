import { type Clock, longestTimerMs } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";

/**
 * Resolves after `delayMs`; rejects with the reason when `scope` is cancelled.
 *
 * @param holdsProcess - whether the process stays alive until then
 */
export async function sleep(clock: Clock, delayMs: number, scope: Cancellation, holdsProcess = true): Promise<void> {
  scope.throwIfCancelled();
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      timer.cancel();
      scope.unlisten(listener);
      resolve();
    };
    const listener = { onCancel: wake };
    const timer = clock.after(Math.min(delayMs, longestTimerMs), wake, holdsProcess);
    scope.listen(listener);
  });
  scope.throwIfCancelled();
}

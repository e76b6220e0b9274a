import { abortReason } from "./caller.js";

/** Something that changes. */
export interface Changing<T> {
  /** How it is now. */
  readonly read: () => T;
  /** Calls back after each change until what it returns is called. */
  readonly watch: (changed: () => void) => () => void;
}

/**
 * Yields how something is at once, and again whenever it has changed. Changes that come while nobody takes what was
 * yielded are one change, so that a slow reader costs no memory and reads nothing outdated.
 *
 * @throws what `read` throws, and the signal's reason once it aborts
 */
export async function* latest<T>({ read, watch }: Changing<T>, signal: AbortSignal): AsyncGenerator<T> {
  let changed = true;
  let wake: (() => void) | undefined;
  const onAbort = () => wake?.();
  const unwatch = watch(() => {
    changed = true;
    wake?.();
  });
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        yield read();
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unwatch();
  }
  throw abortReason(signal);
}

import { abortReason } from "./caller.js";

/** Something that changes. */
export interface Changing<T> {
  /** Returns the current value. */
  readonly read: () => T;
  /** Calls back after each change, until the function that it returns is called. */
  readonly watch: (changed: () => void) => () => void;
}

/**
 * Yields the current value at once, and again after each change. While nobody takes a value, later changes replace it:
 * a slow reader costs no memory and reads nothing outdated.
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

/** A signal that aborts when one of two does. Disposing of it ends that. */
export function eitherAborts(one: AbortSignal, other: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const both = new AbortController();
  const abort = () => {
    both.abort();
  };
  one.addEventListener("abort", abort);
  other.addEventListener("abort", abort);
  if (one.aborted || other.aborted) {
    abort();
  }
  return {
    signal: both.signal,
    [Symbol.dispose]: () => {
      one.removeEventListener("abort", abort);
      other.removeEventListener("abort", abort);
    },
  };
}

import { abortReason } from "./caller.js";

/**
 * Yields the messages of a stream of requests, until the stream ends or the signal aborts. Connect does not end the
 * requests of a handler when the handler's signal aborts.
 *
 * @throws what the requests throw, or the signal's reason
 */
export async function* untilAborted<T>(requests: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = requests[Symbol.asyncIterator]();
  let abort: ((reason: Error) => void) | undefined;
  const onAbort = () => abort?.(abortReason(signal));
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        abort = reject;
        iterator.next().then(resolve, reject);
      });
      if (next.done === true) {
        return;
      }
      yield next.value;
    }
    throw abortReason(signal);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

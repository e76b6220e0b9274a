import { setMaxListeners } from "node:events";
import { callAt, type Clock } from "./clock.js";

/**
 * The lifetime of one call or of one attempt: a signal that aborts for the first of several causes.
 *
 * `AbortSignal.any` would do, but on Node 20 the signals it makes are kept as long as their sources, and a caller's
 * signal may live as long as its process. {@link end} leaves nothing behind.
 */
export class CallScope {
  readonly #controller = new AbortController();
  readonly #cleanups: (() => void)[] = [];

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the signal; a later cause changes nothing. */
  cancel(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Aborts with `source`, for the same reason. */
  follow(source: AbortSignal | undefined): this {
    if (source === undefined) return this;
    const onAbort = (): void => {
      this.cancel(source.reason);
    };
    if (source.aborted) {
      onAbort();
      return this;
    }
    // One signal may end any number of calls, so Node's guess that eleven listeners are a leak is wrong here.
    // (Not 0, which means the same: on Node 20, getMaxListeners throws for a signal set to 0.)
    setMaxListeners(Infinity, source);
    source.addEventListener("abort", onAbort);
    this.#cleanups.push(() => {
      source.removeEventListener("abort", onAbort);
    });
    return this;
  }

  /** Aborts once `atMs` has come by the clock. */
  cancelAt(clock: Clock, atMs: number, makeReason: () => Error): this {
    const timer = callAt(clock, atMs, () => {
      this.cancel(makeReason());
    });
    this.#cleanups.push(() => {
      timer.cancel();
    });
    return this;
  }

  /** Takes listeners and timers back; the signal stays as it is, unless {@link cancel} is called. */
  end(): void {
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }
}

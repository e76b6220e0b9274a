import { setMaxListeners } from "node:events";
import { callAt, type Clock, type Timer } from "@metasrv/wire";
import { Cancellation, type CancelListener } from "./cancellation.js";
import type { RosterMember } from "./roster.js";

/**
 * The lifetime of one call or of one attempt. It is cancelled for the first of several causes. After {@link end}, no
 * listener or timer of it is left on anything that lives longer.
 */
export class CallScope extends Cancellation implements CancelListener, RosterMember {
  rosterPlace = 0;
  #source: Cancellation | undefined;
  #unfollow: (() => void) | undefined;
  #timer: Timer | undefined;

  /** Cancels this scope when `source` is cancelled, with the same reason. A scope follows one source at most. */
  follow(source: Cancellation): this {
    if (source.cancelled) {
      this.cancel(source.reason);
      return this;
    }
    this.#source = source;
    source.listen(this);
    return this;
  }

  /** Cancels this scope when the signal aborts, with the same reason. A scope follows one signal at most. */
  followSignal(signal: AbortSignal | undefined): this {
    if (signal === undefined) {
      return this;
    }
    const onAbort = (): void => {
      this.cancel(signal.reason);
    };
    if (signal.aborted) {
      onAbort();
      return this;
    }
    // One signal may end any number of calls, so Node's guess that eleven listeners are a leak is wrong here. (Infinity
    // and not 0, although 0 means the same: on Node 20, getMaxListeners throws for a signal set to 0.)
    setMaxListeners(Infinity, signal);
    signal.addEventListener("abort", onAbort);
    this.#unfollow = () => {
      signal.removeEventListener("abort", onAbort);
    };
    return this;
  }

  /** Cancels this scope at `atMs` on the clock. A scope has one such moment at most. */
  cancelAt(clock: Clock, atMs: number, makeReason: () => Error): this {
    this.#timer = callAt(clock, atMs, () => {
      this.cancel(makeReason());
    });
    return this;
  }

  /** The source that it follows was cancelled. */
  onCancel(reason: unknown): void {
    this.cancel(reason);
  }

  /** Removes the listeners and the timer. The scope stays as it is, unless {@link cancel} is called. */
  end(): void {
    this.#source?.unlisten(this);
    this.#unfollow?.();
    this.#timer?.cancel();
  }
}

import { setMaxListeners } from "node:events";
import { callAt, type Clock, type Timer } from "@metasrv/wire";
import { Cancellation, type CancelListener } from "./cancellation.js";
import type { RosterMember } from "./roster.js";

/**
 * The lifetime of one call or of one attempt: cancelled for the first of several causes. {@link end} leaves nothing behind
 * on what outlives it.
 */
export class CallScope extends Cancellation implements CancelListener, RosterMember {
  rosterPlace = 0;
  #source: Cancellation | undefined;
  #unfollow: (() => void) | undefined;
  #timer: Timer | undefined;

  /** Is cancelled with `source`, for the same reason. A scope follows one source at most. */
  follow(source: Cancellation): this {
    if (source.cancelled) {
      this.cancel(source.reason);
      return this;
    }
    this.#source = source;
    source.listen(this);
    return this;
  }

  /** Is cancelled when the signal aborts, for the same reason. A scope follows one signal at most. */
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
    // One signal may end any number of calls, so Node's guess that eleven listeners are a leak is wrong here.
    // (Not 0, which means the same: on Node 20, getMaxListeners throws for a signal set to 0.)
    setMaxListeners(Infinity, signal);
    signal.addEventListener("abort", onAbort);
    this.#unfollow = () => {
      signal.removeEventListener("abort", onAbort);
    };
    return this;
  }

  /** Is cancelled once `atMs` has come by the clock. A scope has one such moment at most. */
  cancelAt(clock: Clock, atMs: number, makeReason: () => Error): this {
    this.#timer = callAt(clock, atMs, () => {
      this.cancel(makeReason());
    });
    return this;
  }

  /** What it follows was cancelled. */
  onCancel(reason: unknown): void {
    this.cancel(reason);
  }

  /** Takes listeners and the timer back; the scope stays as it is, unless {@link cancel} is called. */
  end(): void {
    this.#source?.unlisten(this);
    this.#unfollow?.();
    this.#timer?.cancel();
  }
}

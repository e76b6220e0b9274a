import { callAt, type Clock, longestTimerMs, type RosterMember, type Timer } from "@metasrv/wire";
import { allowManyListeners } from "./platform.js";

/** Told when a {@link Cancellation} is cancelled. */
export interface CancelListener {
  onCancel(reason: unknown): void;
}

/**
 * Tells, once, that something is not wanted any more. It does what an `AbortController` does, at a fraction of the
 * cost, which would be a large part of the cost of a lock. It makes a real signal only when somebody asks for one.
 */
export class Cancellation {
  #cancelled = false;
  #reason: unknown;
  /** Most have one listener at most, which takes no array: see `Call`. */
  #listener: CancelListener | undefined;
  /** Those that came after it. */
  #others: CancelListener[] | undefined;
  #controller: AbortController | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** The reason with which it was cancelled. */
  get reason(): unknown {
    return this.#reason;
  }

  /** The same as an `AbortSignal`: it aborts when this is cancelled, with the same reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // Whoever holds a lock may pass its signal to any number of calls.
      allowManyListeners(this.#controller.signal);
      if (this.#cancelled) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  /** Tells the listeners, and then the listeners of the signal. Only the first reason counts. */
  cancel(reason: unknown): void {
    if (this.#cancelled) {
      return;
    }
    this.#cancelled = true;
    this.#reason = reason;
    // A listener may remove another one.
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      next.onCancel(reason);
    }
    this.#controller?.abort(reason);
  }

  /** Throws the reason if this is cancelled. */
  throwIfCancelled(): void {
    if (this.#cancelled) {
      throw this.#reason;
    }
  }

  /** From now on, the listener is told. It is not told of a cancellation before that. */
  listen(listener: CancelListener): void {
    if (this.#cancelled) {
      return;
    }
    if (this.#listener === undefined && (this.#others === undefined || this.#others.length === 0)) {
      this.#listener = listener;
    } else {
      this.#others ??= [];
      this.#others.push(listener);
    }
  }

  /** From now on, the listener is not told. */
  unlisten(listener: CancelListener): void {
    if (this.#listener === listener) {
      this.#listener = undefined;
      return;
    }
    const at = this.#others?.indexOf(listener) ?? -1;
    if (at >= 0) {
      this.#others?.splice(at, 1);
    }
  }

  /** Takes out the one that came first. */
  #take(): CancelListener | undefined {
    const first = this.#listener ?? this.#others?.shift();
    this.#listener = undefined;
    return first;
  }
}

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
    // One signal may end any number of calls, so Node's guess that eleven listeners are a leak is wrong here.
    allowManyListeners(signal);
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

/** Waits for the promise, or rejects with the reason when the scope is cancelled. */
export async function settledOrCancelled<T>(promise: Promise<T>, scope: Cancellation): Promise<T> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      scope.unlisten(listener);
      resolve();
    };
    const listener = { onCancel: done };
    scope.listen(listener);
    promise.then(done, done);
  });
  scope.throwIfCancelled();
  return promise;
}

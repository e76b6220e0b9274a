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
  #listeners: CancelListener[] | undefined;
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
    for (let next = this.#listeners?.shift(); next !== undefined; next = this.#listeners?.shift()) {
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
    if (this.#listeners === undefined) {
      this.#listeners = [listener];
    } else {
      this.#listeners.push(listener);
    }
  }

  /** From now on, the listener is not told. */
  unlisten(listener: CancelListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) {
      this.#listeners?.splice(at, 1);
    }
  }
}

/** What is told of a {@link Cancellation}. */
export interface CancelListener {
  onCancel(reason: unknown): void;
}

/**
 * Says, once, that something is not wanted any more: what an `AbortController` does, at a fraction of its cost, which
 * would be a large part of what a lock costs. A real signal is made only when somebody asks for it.
 */
export class Cancellation {
  #cancelled = false;
  #reason: unknown;
  #listeners: CancelListener[] | undefined;
  #controller: AbortController | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** What it was cancelled with. */
  get reason(): unknown {
    return this.#reason;
  }

  /** As an `AbortSignal`: aborted if this is cancelled, and with the same reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelled) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  /** Tells the listeners, then those of the signal; a later reason changes nothing. */
  cancel(reason: unknown): void {
    if (this.#cancelled) {
      return;
    }
    this.#cancelled = true;
    this.#reason = reason;
    // One may take another off the list.
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

  /** From now on the listener is told. It is not told of what was cancelled before. */
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

  /** The listener is not told any more. */
  unlisten(listener: CancelListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) {
      this.#listeners?.splice(at, 1);
    }
  }
}

import { warn } from "./platform.js";

/** The time in which a lock is held, as far as its handle's end concerns it. */
export interface Forgettable {
  /** The lock as messages call it. */
  readonly described: string;
  /** Nobody can release the lock any more. @returns false if it is over anyway */
  forget(): boolean;
}

/**
 * Finds handles that are gone although their locks are held and kept alive. Nobody can release such a lock any more, so it is
 * renewed no more, and a warning says so: once, as a program that forgets one handle forgets many.
 */
export class ForgottenHandles {
  readonly #handles = new FinalizationRegistry<Forgettable>((hold) => {
    this.#gone(hold);
  });
  #warned = false;

  /** From now on, the handle is watched. Whoever calls this must not keep it. */
  watch(handle: object, hold: Forgettable): void {
    this.#handles.register(handle, hold);
  }

  #gone(hold: Forgettable): void {
    if (!hold.forget() || this.#warned) {
      return;
    }
    this.#warned = true;
    warn(
      `The handle of the ${hold.described} was garbage-collected without release(). The lock is renewed no more and ends with ` +
        "its TTL. Keep the handle as long as the lock is needed, best with `await using` or withLock(). Of others, only the " +
        "event lost tells.",
      "METASRV_FORGOTTEN_LOCK",
    );
  }
}

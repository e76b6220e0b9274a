import { invalid } from "./argument-checks.js";
import type { FencingToken } from "./held-lock.js";
import type { LockName } from "./lock-name.js";
import type { LockLostError } from "./meta-errors.js";

/** What a client tells of to those who listen, by name. */
export interface ClientEvents {
  /** A session with a server has begun: all requests for locks go through it. */
  readonly connected: {
    /** The endpoint's URL. */
    readonly endpoint: string;
    /**
     * `"stream"`, where HTTP/2 goes all the way: requests and answers go over one stream. `"attach"` elsewhere: answers come
     * on a stream, and each bundle of requests is a call of its own.
     */
    readonly carrier: "stream" | "attach";
    /** What is spoken on the connection. */
    readonly httpVersion: "1.1" | "2";
    /** Why it is this carrier, in words for people. */
    readonly why: string;
  };
  /** A session has ended: it broke, the server ended it, or it is not needed any more. */
  readonly disconnected: { readonly endpoint: string; readonly reason: string };
  /** What is asked for from now on goes to another endpoint. Waits keep their place, and locks stay held. */
  readonly moved: { readonly from: string; readonly to: string };
  /** A server is about to stop. The client goes to another one if there is one. */
  readonly draining: { readonly endpoint: string };
  /** A lock was not renewed, be it that no server could be reached or that one refused. A lock that is kept alive is tried again. */
  readonly renewalFailed: LockEvent & {
    readonly error: Error;
    /** For how long it is surely held still, in milliseconds. */
    readonly remainingMs: number;
  };
  /** A lock is not surely held any more, and its `signal` aborts. */
  readonly lost: LockEvent & { readonly reason: LockLostError };
}

/** Which lock an event is about. */
export interface LockEvent {
  /** The name, as it was given; of several locks that are held together, each. */
  readonly names: readonly LockName[];
  readonly token: FencingToken;
}

/** Told of one kind of event. */
export type Listener<K extends keyof ClientEvents> = (event: ClientEvents[K]) => void;

const kinds: Readonly<Record<keyof ClientEvents, true>> = {
  connected: true,
  disconnected: true,
  moved: true,
  draining: true,
  renewalFailed: true,
  lost: true,
};

/** The listeners of a client. */
export class EventListeners {
  readonly #listeners = new Map<keyof ClientEvents, Set<{ readonly tell: (event: never) => void }>>();

  /**
   * From now on, the listener is told.
   *
   * @returns ends that
   * @throws InvalidArgumentError for what is no event or no function
   */
  on<K extends keyof ClientEvents>(event: K, listener: Listener<K>): () => void {
    if (!Object.hasOwn(kinds, event)) {
      throw invalid("event", `one of ${Object.keys(kinds).join(", ")}`, event);
    }
    if (typeof listener !== "function") {
      throw invalid("listener", "a function", listener);
    }
    const entry = { tell: listener };
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(entry));
    return () => {
      if (listeners.delete(entry) && listeners.size === 0) {
        this.#listeners.delete(event);
      }
    };
  }

  /** Tells all who listen; undefined when nobody does, so that `of("lost")?.({ … })` makes nothing then. */
  of<K extends keyof ClientEvents>(event: K): ((told: ClientEvents[K]) => void) | undefined {
    const listeners = this.#listeners.get(event) as Set<{ readonly tell: Listener<K> }> | undefined;
    if (listeners === undefined) {
      return undefined;
    }
    return (told) => {
      for (const { tell } of listeners) {
        // In a turn of its own, so that an error of a listener is no error of a lock.
        queueMicrotask(() => {
          tell(told);
        });
      }
    };
  }
}

import type { ClaimListener } from "./claim.js";
import type { Clock, Timer } from "./clock.js";
import { superseded } from "./lock-errors.js";
import { encodeLockKey, type LockKey } from "./lock-key.js";

/** Longest wait for which a timer is set, in milliseconds: about 24 days. */
const longestTimerMs = 2 ** 31 - 2;

/**
 * Who is told what becomes of a ticket, at most one listener at a time, and the two times that end a ticket which holds
 * nothing: the wait that its requester allows, and the grace in which a requester that is gone may come back.
 */
export class Requester {
  readonly #clock: Clock;
  /** Absent when it has gone, or was told of a grant and cannot be told of a loss. */
  #listener: ClaimListener | undefined;
  /** Whether the last to ask wants it only if the lock is free; outlasts the listener, as the log may be asked still. */
  #impatient = false;
  /** When the listener asked: the start of the wait that it is told with its grant. */
  #receivedAt: number;
  /** Ends the wait that the requester allows. */
  #waitTimer: Timer | undefined;
  /** Ends the ticket unless a requester comes back. */
  #graceTimer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#receivedAt = clock.now();
  }

  /** Whether there is someone to tell. */
  get present(): boolean {
    return this.#listener !== undefined;
  }

  /** Whether the ticket is wanted only if the lock is free. A method, as the answer changes while the log is asked. */
  isImpatient(): boolean {
    return this.#impatient;
  }

  /** Whether it is this listener that is told. A superseded one must not end what another waits for. */
  is(listener: ClaimListener): boolean {
    return this.#listener === listener;
  }

  /** The listener is told from now on, and allows this wait; another that still waits learns that it was superseded. */
  await(listener: ClaimListener, waitMs: number | undefined, timedOut: (waitMs: number) => void): void {
    this.supersede();
    this.hear(listener, this.#clock.now());
    this.#impatient = waitMs === 0;
    if (waitMs !== undefined && waitMs > 0 && waitMs <= longestTimerMs) {
      this.#waitTimer = this.#clock.after(waitMs, () => {
        timedOut(waitMs);
      });
    }
  }

  /** The listener is told from now on, of what it asked for at that moment. */
  hear(listener: ClaimListener, receivedAt: number): void {
    this.#listener = listener;
    this.#receivedAt = receivedAt;
  }

  /** The listener is told of the end of the hold; another learns that the hold went elsewhere. */
  follow(listener: ClaimListener): void {
    this.#listener?.lost?.("moved");
    this.#listener = listener;
  }

  /** Whoever still waits learns that another request took its place. */
  supersede(): void {
    this.#listener?.failed(superseded());
    this.#listener = undefined;
    this.stopTimers();
  }

  /** Nobody is there to be told any more. */
  leave(): void {
    this.#listener = undefined;
    this.#waitTimer?.cancel();
  }

  /** Gives a requester this long to come back. */
  startGrace(graceMs: number, ended: () => void): void {
    this.#graceTimer?.cancel();
    this.#graceTimer = this.#clock.after(graceMs, ended);
  }

  /** It is settled whether the ticket holds: neither time can end it any more. */
  stopTimers(): void {
    this.#waitTimer?.cancel();
    this.#graceTimer?.cancel();
  }

  /** Tells of a grant. */
  granted(key: LockKey, ttlMs: number, heldSince: number): void {
    this.#waitTimer?.cancel();
    const listener = this.#listener;
    if (listener?.lost === undefined) {
      // It could not be told of a loss, so that nothing needs to be kept of it.
      this.#listener = undefined;
    }
    listener?.granted({
      key: encodeLockKey(key),
      token: key.token,
      ttlMs,
      waitedMs: heldSince - this.#receivedAt,
    });
  }

  /** Lets go of everything, and answers whom the end of the ticket is to be told. */
  close(): ClaimListener | undefined {
    const listener = this.#listener;
    this.#listener = undefined;
    this.stopTimers();
    return listener;
  }
}

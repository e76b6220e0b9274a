import { Backoff, type BackoffOptions, type Clock, type Timer } from "@metasrv/wire";
import { CallScope } from "./call-scope.js";
import type { Cancellation } from "./cancellation.js";
import type { Member } from "./member.js";
import { ClosedError, UnavailableError } from "./meta-errors.js";

/** What a {@link MemberCheck} works with. */
export interface MemberCheckOptions {
  /** Of the member whose address is checked. */
  readonly id: string;
  readonly clock: Clock;
  /** Asks the server at the address for its members. */
  readonly ask: (scope: Cancellation) => Promise<readonly Member[]>;
  readonly attemptTimeoutMs: number;
  /** How long to wait before it is asked at first. */
  readonly delayMs: number;
  /** Pauses between attempts. */
  readonly backoff: BackoffOptions;
  /** The address is good. */
  readonly onVerified: () => void;
}

/**
 * Finds out whether the address that a member tells of itself leads to its cluster from here. A private network, or a
 * server that says 127.0.0.1, may lead nowhere, or to servers of another cluster, whose locks are others.
 */
export class MemberCheck {
  readonly #options: MemberCheckOptions;
  readonly #backoff: Backoff;
  readonly #scope = new CallScope();
  #timer: Timer | undefined;

  constructor(options: MemberCheckOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
  }

  /** Checks until the address is good or the check is stopped. Resolves after the first attempt, and never rejects. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = this.#options.clock.after(this.#options.delayMs, () => {
        void this.#attempt().then(resolve);
      });
    });
  }

  /** Nothing comes of it any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#scope.cancel(new ClosedError());
  }

  async #attempt(): Promise<void> {
    const good = await this.#ask();
    if (this.#scope.cancelled) {
      return;
    }
    if (good) {
      this.#options.onVerified();
      return;
    }
    this.#timer = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#attempt());
  }

  async #ask(): Promise<boolean> {
    const { id, clock, ask, attemptTimeoutMs } = this.#options;
    const scope = new CallScope().follow(this.#scope).cancelAt(clock, clock.now() + attemptTimeoutMs, () => {
      return new UnavailableError(`no answer within ${attemptTimeoutMs} ms`, []);
    });
    try {
      return (await ask(scope)).some((member) => member.id === id);
    } catch {
      return false;
    } finally {
      scope.end();
    }
  }
}

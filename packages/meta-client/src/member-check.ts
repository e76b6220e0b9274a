import { Backoff, type BackoffOptions, type Clock, type Timer } from "@metasrv/wire";
import { CallScope, type Cancellation } from "./cancellation.js";
import type { Member } from "./member.js";
import { ClosedError, UnavailableError } from "./meta-errors.js";

export interface MemberCheckOptions {
  /** Id of the member whose address is checked. */
  readonly id: string;
  readonly clock: Clock;
  /** Asks the server at the address for its members. */
  readonly ask: (scope: Cancellation) => Promise<readonly Member[]>;
  readonly attemptTimeoutMs: number;
  /** How long to wait before the first question. */
  readonly delayMs: number;
  /** Pauses between attempts. */
  readonly backoff: BackoffOptions;
  /** Called when the address was found to be good. */
  readonly onVerified: () => void;
}

/**
 * Finds out whether the address that a member tells of itself leads from here to its cluster. An address in a private
 * network, or 127.0.0.1, may lead nowhere, or to a server of another cluster, which has other locks.
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

  /** Ends the check; nothing is called after that. */
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

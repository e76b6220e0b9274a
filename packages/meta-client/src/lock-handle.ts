import { checkDurationMs } from "./check-argument.js";
import type { Clock } from "./clock.js";
import type { Granted } from "./grant.js";
import type { FencingToken, HeldLock, RenewOutcome } from "./held-lock.js";
import { KeepAlive } from "./keep-alive.js";
import type { HeldKey, LockCalls } from "./lock-calls.js";
import type { LockName } from "./lock-name.js";
import { LockLostError, UnavailableError } from "./meta-errors.js";
import { Validity } from "./validity.js";

/** What a handle is made of. */
export interface LockHandleOptions {
  readonly name: LockName;
  /** The lock as messages call it. */
  readonly described: string;
  readonly grant: Granted;
  readonly keepAlive: boolean;
  /** How long {@link keepAlive} goes on; absent: without end. */
  readonly maxHoldMs: number | undefined;
  readonly clock: Clock;
  readonly calls: Pick<LockCalls, "renew" | "unlock">;
  /** How long releasing is tried at most, in milliseconds. */
  readonly unavailableAfterMs: number;
  /** Called when the lock is lost, and when it has been given back. */
  readonly onOver: (handle: LockHandle) => void;
}

// How long a lock that is over by our clock is given back, because the server may keep it a little longer.
const lateReleaseMs = 1_000;

/** A held lock: what it does is written at {@link HeldLock}. */
export class LockHandle implements HeldLock {
  readonly name: LockName;
  readonly token: FencingToken;
  readonly #held: HeldKey;
  readonly #clock: Clock;
  readonly #calls: LockHandleOptions["calls"];
  readonly #options: LockHandleOptions;
  readonly #validity: Validity;
  readonly #keepAlive: KeepAlive | undefined;
  readonly #renewUntilMs: number;
  /** The last renewal asked for: each waits for the one before, because only then the last answer is the one that counts. */
  #renewals: Promise<unknown> = Promise.resolve();
  #lastTrouble: unknown;
  /** The server said that the lock is not held. */
  #gone = false;
  #released: Promise<void> | undefined;

  constructor(options: LockHandleOptions) {
    const { grant, clock } = options;
    this.name = options.name;
    this.token = grant.token as FencingToken;
    this.#held = { key: grant.key, described: `${options.described} (token ${grant.token})` };
    this.#clock = clock;
    this.#calls = options.calls;
    this.#options = options;
    this.#validity = new Validity({
      clock,
      startedAtMs: grant.grantedAtMs,
      ttlMs: grant.ttlMs,
      ranOut: () => this.#ranOut(),
    });
    this.#renewUntilMs = grant.grantedAtMs + (options.maxHoldMs ?? Infinity);
    if (options.keepAlive) {
      this.#keepAlive = new KeepAlive({
        clock,
        validity: this.#validity,
        renew: () => this.renew(),
        renewUntilMs: this.#renewUntilMs,
      });
    }
    this.signal.addEventListener("abort", () => {
      this.#keepAlive?.stop();
      if (this.#released === undefined) options.onOver(this);
    });
  }

  get key(): Uint8Array {
    return this.#held.key;
  }

  get expiresAt(): number {
    return this.#validity.expiresAtMs;
  }

  get signal(): AbortSignal {
    return this.#validity.signal;
  }

  async renew(ttlMs?: number): Promise<RenewOutcome> {
    const checkedTtlMs = checkDurationMs("ttlMs", ttlMs, 1);
    const outcome = this.#renewals.then(() => this.#renew(checkedTtlMs ?? this.#validity.ttlMs));
    this.#renewals = outcome.catch(() => undefined);
    return outcome;
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A failure is not the work's: it must not replace what the work returned or threw, and the lock ends with its TTL.
    await this.release().catch(() => undefined);
  }

  /** The client closes: the lock is lost to its holder, and then given back. Never rejects. */
  async abandon(): Promise<void> {
    this.#validity.lose(
      new LockLostError(`${this.#subject} was given back because its client was closed. Close the client last.`),
    );
    await this[Symbol.asyncDispose]();
  }

  get #subject(): string {
    return `The ${this.#held.described}`;
  }

  async #renew(ttlMs: number): Promise<RenewOutcome> {
    if (this.#isOver()) return "lost";
    this.#validity.ask(ttlMs);
    try {
      const leftMs = (): number => this.expiresAt - this.#clock.now();
      const renewed = await this.#calls.renew(this.#held, ttlMs, leftMs, this.signal);
      this.#validity.confirm(renewed.sentAtMs, renewed.ttlMs);
      this.#lastTrouble = undefined;
      return this.#isOver() ? "lost" : "renewed";
    } catch (error) {
      this.#lastTrouble = error;
      if (this.#isOver()) return "lost";
      if (error instanceof LockLostError) {
        this.#gone = true;
        this.#validity.lose(new LockLostError(`${this.#subject} is lost: ${error.message}`, { cause: error }));
        return "lost";
      }
      if (error instanceof UnavailableError) {
        this.#validity.doubt(ttlMs);
        return "unknown";
      }
      this.#validity.dismiss();
      throw error;
    }
  }

  #isOver(): boolean {
    return this.#released !== undefined || this.signal.aborted;
  }

  async #release(): Promise<void> {
    this.#keepAlive?.stop();
    this.#validity.stop();
    try {
      if (this.#gone) return;
      const leftMs = this.signal.aborted ? lateReleaseMs : Math.max(this.expiresAt - this.#clock.now(), 1);
      await this.#calls.unlock(this.#held, Math.min(leftMs, this.#options.unavailableAfterMs));
    } catch (error) {
      if (!this.signal.aborted && this.expiresAt > this.#clock.now()) throw error;
    } finally {
      this.#options.onOver(this);
    }
  }

  #ranOut(): LockLostError {
    if (this.#clock.now() >= this.#renewUntilMs) {
      const why = `was held for maxHoldMs (${this.#options.maxHoldMs ?? 0} ms), after which it is not renewed`;
      return new LockLostError(`${this.#subject} ${why}. Set a longer maxHoldMs if the work needs it.`);
    }
    const what = `${this.#subject} reached the end of its TTL (${this.#validity.ttlMs} ms)`;
    if (this.#lastTrouble !== undefined) {
      return new LockLostError(`${what} and could not be renewed in time. Stop what it guards.`, {
        cause: this.#lastTrouble,
      });
    }
    return new LockLostError(`${what} without being renewed. Set keepAlive, call renew(), or use a longer ttlMs.`);
  }
}

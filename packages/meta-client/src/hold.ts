import type { Clock, RosterMember } from "@metasrv/wire";
import type { CancelListener } from "./cancellation.js";
import type { EventListeners } from "./client-events.js";
import type { Forgettable, ForgottenHandles } from "./forgotten-handles.js";
import { type Granted, type Holding, type LockNews, type NewsListener, Validity } from "./grant.js";
import type { FencingToken, RenewOutcome } from "./held-lock.js";
import { KeepAlive } from "./keep-alive.js";
import type { AskedLock, CheckedLockOptions } from "./lock-arguments.js";
import type { HeldKey, LockCalls } from "./lock-calls.js";
import { describeLocks, type LockName } from "./lock-name.js";
import { LockLostError, UnavailableError } from "./meta-errors.js";

/** What the holds of a client share. */
export interface HoldParts {
  readonly clock: Clock;
  readonly calls: Pick<LockCalls, "renew" | "unlock">;
  /** How long releasing is tried at most, in milliseconds. */
  readonly unavailableAfterMs: number;
  readonly events: EventListeners;
  readonly forgotten: ForgottenHandles;
  /** Called when a lock is lost, and after it was given back. */
  readonly onOver: (hold: Hold) => void;
}

/** How a lock is held. */
export type HoldOptions = Pick<CheckedLockOptions, "keepAlive" | "maxHoldMs" | "endMarginMs">;

/** What a renewal may ask for beside time. */
export type RenewalAsk = Pick<Holding, "downgraded" | "value">;

// For this long after a lock is over by our clock, it is still given back, because the server may keep it a little
// longer.
const lateReleaseMs = 1_000;

/**
 * The time in which a lock is held, from the grant to the release or the loss. Timers and the channel know it, and do not know
 * the handle, so that a handle which its user has forgotten can be found.
 */
export class Hold implements HeldKey, Forgettable, NewsListener, CancelListener, RosterMember {
  rosterPlace = 0;
  readonly token: FencingToken;
  readonly holding: Holding;
  /** What users have of it, until the first renewal. Most locks are released before, and cost nothing more. */
  handle: object | undefined;
  /** One lock, or several that are held together, as they were asked for. */
  readonly locks: readonly AskedLock[];
  readonly grant: Granted;
  readonly #parts: HoldParts;
  readonly #clock: Clock;
  readonly #options: HoldOptions;
  readonly #onOver: ((signal: AbortSignal) => void) | undefined;
  readonly #validity: Validity;
  readonly #keepAlive: KeepAlive | undefined;
  readonly #renewUntilMs: number;
  /**
   * The last renewal asked for. Each renewal waits for the one before: otherwise the last answer might not be the one
   * that counts.
   */
  #renewals: Promise<unknown> | undefined;
  #lastTrouble: unknown;
  /** The server said that the lock is not held. */
  #gone = false;
  #released: Promise<void> | undefined;
  #forgotten = false;

  /** @param onOver - called once it is over, with the hold's signal */
  constructor(
    parts: HoldParts,
    locks: readonly AskedLock[],
    grant: Granted,
    options: HoldOptions,
    onOver: ((signal: AbortSignal) => void) | undefined,
  ) {
    const { clock } = parts;
    this.locks = locks;
    this.grant = grant;
    this.token = grant.token as FencingToken;
    this.holding = grant.holding;
    this.#parts = parts;
    this.#clock = clock;
    this.#options = options;
    this.#onOver = onOver;
    this.#validity = new Validity({
      clock,
      startedAtMs: grant.grantedAtMs,
      ttlMs: grant.ttlMs,
      endMarginMs: options.endMarginMs,
      ranOut: () => this.#ranOut(),
    });
    this.#renewUntilMs = grant.grantedAtMs + (options.maxHoldMs ?? Infinity);
    if (options.keepAlive !== false) {
      this.#keepAlive = new KeepAlive({
        clock,
        validity: this.#validity,
        renew: () => this.#keep(),
        renewUntilMs: this.#renewUntilMs,
      });
    }
    this.#validity.over.listen(this);
  }

  /** The lock is over: it is lost, or its time has passed on the holder's clock. */
  onCancel(): void {
    this.#keepAlive?.stop();
    if (this.#released === undefined) {
      this.#tellOver();
      this.#parts.events.of("lost")?.({ ...this.#told, reason: this.#validity.over.reason as LockLostError });
    }
  }

  /** The names, in the order of their bytes. */
  get names(): readonly LockName[] {
    return this.locks.map(({ name }) => name);
  }

  /** For how long it is held unless renewed, in milliseconds. */
  get ttlMs(): number {
    return this.#validity.ttlMs;
  }

  /** It is renewed no more, and ends with its TTL unless it is released before. */
  stopRenewing(): void {
    this.#keepAlive?.stop();
  }

  /** Nobody can release the lock any more, so it is renewed no more. */
  forget(): boolean {
    if (this.#isOver()) {
      return false;
    }
    this.#forgotten = true;
    this.stopRenewing();
    return true;
  }

  get expiresAtMs(): number {
    return this.#validity.expiresAtMs - (this.#clock.suspendedMs ?? 0);
  }

  get remainingMs(): number {
    return this.#released === undefined ? this.#validity.leftMs : 0;
  }

  throwIfLost(): void {
    this.signal.throwIfAborted();
    if (this.#released !== undefined) {
      throw new LockLostError(`${this.#subject} was released. Ask for it again.`);
    }
  }

  get signal(): AbortSignal {
    return this.#validity.signal;
  }

  /**
   * @param ttlMs - absent: as before
   * @param ask - what else to ask for. As long as it is not known whether a server did it, each later renewal asks for it, too.
   */
  async renew(ttlMs?: number, ask?: Partial<RenewalAsk>): Promise<RenewOutcome> {
    const renew = (): Promise<RenewOutcome> => {
      const { downgraded, value } = this.holding;
      Object.assign(this.holding, ask);
      return this.#renew(ttlMs ?? this.#validity.ttlMs, { downgraded, value });
    };
    const outcome = this.#renewals === undefined ? renew() : this.#renewals.then(renew);
    this.#renewals = outcome.catch(() => undefined);
    return outcome;
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release());
  }

  /** A server has told news of the lock. */
  hear(news: LockNews): void {
    if (news === "unwatched") {
      // The server that answers the renewal watches over the lock from then on.
      this.#keepAlive?.renewNow();
      return;
    }
    if (this.#isOver()) {
      return;
    }
    this.#gone = true;
    const forced = typeof news === "object" ? news.forced : undefined;
    this.#validity.lose(new LockLostError(`${this.#subject} ${howLost(news)}. Stop what it guards.`, { forced }));
  }

  /** The client closes: the holder loses the lock, and then it is given back. Never rejects. */
  async abandon(): Promise<void> {
    this.#validity.lose(
      new LockLostError(`${this.#subject} was given back because its client was closed. Close the client last.`),
    );
    await this.release().catch(() => undefined);
  }

  /** The lock as messages call it. */
  get described(): string {
    return `${describeLocks(this.names)} (token ${this.token})`;
  }

  get #subject(): string {
    return `The ${this.described}`;
  }

  get #told(): { readonly names: readonly LockName[]; readonly token: FencingToken } {
    return { names: this.names, token: this.token };
  }

  #keep(): Promise<RenewOutcome> {
    if (this.handle !== undefined) {
      this.#parts.forgotten.watch(this.handle, this);
      this.handle = undefined;
    }
    return this.renew();
  }

  /** @param before - what renewals asked for before this one */
  async #renew(ttlMs: number, before: RenewalAsk): Promise<RenewOutcome> {
    if (this.#isOver()) {
      return "lost";
    }
    this.#validity.ask(ttlMs);
    let unanswered = false as boolean;
    try {
      const renewed = await this.#parts.calls.renew(this, {
        ttlMs,
        leftMs: () => this.#validity.expiresAtMs - this.#clock.now(),
        over: this.#validity.over,
        onUnanswered: () => (unanswered = true),
      });
      // That attempt may still arrive, after a later renewal for a longer TTL.
      if (unanswered) {
        this.#validity.doubt(ttlMs);
      }
      this.#validity.confirm(renewed.sentAtMs, renewed.ttlMs);
      this.holding.value = undefined;
      this.#lastTrouble = undefined;
      return this.#isOver() ? "lost" : "renewed";
    } catch (error) {
      this.#lastTrouble = error;
      if (this.#isOver()) {
        return "lost";
      }
      if (error instanceof LockLostError) {
        this.#gone = true;
        const { message, forced } = error;
        this.#validity.lose(new LockLostError(`${this.#subject} is lost: ${message}`, { cause: error, forced }));
        return "lost";
      }
      if (unanswered) {
        this.#validity.doubt(ttlMs);
      } else {
        this.#validity.dismiss();
        // It was refused. Later renewals would be, too, if they asked for the same.
        Object.assign(this.holding, before);
      }
      if (error instanceof Error) {
        this.#parts.events.of("renewalFailed")?.({ ...this.#told, error, remainingMs: this.#validity.leftMs });
      }
      if (error instanceof UnavailableError) {
        return "unknown";
      }
      throw error;
    }
  }

  #isOver(): boolean {
    this.#validity.look();
    return this.#released !== undefined || this.#validity.over.cancelled;
  }

  async #release(): Promise<void> {
    this.#keepAlive?.stop();
    this.#validity.stop();
    try {
      if (this.#gone) {
        return;
      }
      const leftMs = this.#validity.over.cancelled
        ? lateReleaseMs
        : Math.max(this.#validity.expiresAtMs - this.#clock.now(), 1);
      await this.#parts.calls.unlock(this, Math.min(leftMs, this.#parts.unavailableAfterMs));
    } catch (error) {
      if (!this.#validity.over.cancelled && this.#validity.expiresAtMs > this.#clock.now()) {
        throw error;
      }
    } finally {
      this.#tellOver();
    }
  }

  #tellOver(): void {
    this.#parts.onOver(this);
    this.#onOver?.(this.signal);
  }

  #ranOut(): LockLostError {
    if (this.#clock.now() >= this.#renewUntilMs) {
      const why = `was held for maxHoldMs (${this.#options.maxHoldMs ?? 0} ms), after which it is not renewed`;
      return new LockLostError(`${this.#subject} ${why}. Set a longer maxHoldMs if the work needs it.`);
    }
    if (this.#forgotten) {
      const why = "was not renewed any more, because its handle was garbage-collected without release()";
      return new LockLostError(`${this.#subject} ${why}. Keep the handle as long as the lock is needed.`);
    }
    const what = `${this.#subject} reached the end of its TTL (${this.#validity.ttlMs} ms)`;
    if (this.#lastTrouble !== undefined) {
      return new LockLostError(`${what} and could not be renewed in time. Stop what it guards.`, {
        cause: this.#lastTrouble,
      });
    }
    return new LockLostError(`${what} without being renewed. Leave keepAlive on, call renew(), or use a longer ttlMs.`);
  }
}

function howLost(news: Exclude<LockNews, "unwatched">): string {
  switch (news) {
    case "expired":
      return "has reached the end of its TTL at the server";
    case "released":
      return "was released by somebody else";
    default: {
      const { actor, reason } = news.forced;
      const who = actor === "" ? "an operator" : JSON.stringify(actor);
      return `was released by force by ${who}: ${JSON.stringify(reason)}`;
    }
  }
}

import type { Clock, RosterMember } from "@metasrv/wire";
import type { CancelListener } from "./cancellation.js";
import { type Granted, type Holding, type LockNews, type NewsListener, Validity } from "./grant.js";
import type { FencingToken, HeldLock, HeldLocks, RenewOutcome } from "./held-lock.js";
import { KeepAlive } from "./keep-alive.js";
import {
  type AskedLock,
  checkDurationMs,
  describeLocks,
  exclusive,
  invalid,
  isSameLock,
  type LockName,
  type Mode,
  modeOf,
  type Share,
  toWireName,
  type WireName,
} from "./lock-arguments.js";
import type { HeldKey, LockCalls } from "./lock-calls.js";
import { InvalidArgumentError, LockLostError, UnavailableError } from "./meta-errors.js";
import { inspect } from "./platform.js";

export interface LockHandleOptions {
  /** One lock, or several that are held together, as they were asked for. */
  readonly locks: readonly AskedLock[];
  readonly grant: Granted;
  readonly keepAlive: boolean;
  /** How long {@link keepAlive} renews; absent: without end. */
  readonly maxHoldMs: number | undefined;
  /** As in `TryLockOptions`. */
  readonly endMarginMs?: number | undefined;
  readonly clock: Clock;
  readonly calls: Pick<LockCalls, "renew" | "unlock">;
  /** How long releasing is tried at most, in milliseconds. */
  readonly unavailableAfterMs: number;
  /** Called when the lock is lost, and after it was given back. */
  readonly onOver: (handle: LockHandle) => void;
}

// For this long after a lock is over by our clock, it is still given back, because the server may keep it a little
// longer.
const lateReleaseMs = 1_000;

/** A held lock, or several that are held together; {@link HeldLock} and {@link HeldLocks} say what it does. */
export class LockHandle implements HeldLock, HeldLocks, HeldKey, NewsListener, CancelListener, RosterMember {
  rosterPlace = 0;
  /** The first name. */
  readonly name: LockName;
  readonly token: FencingToken;
  readonly floor: FencingToken;
  readonly permits: number;
  readonly limit: number;
  readonly #share: Share;
  readonly holding: Holding;
  readonly #clock: Clock;
  readonly #calls: LockHandleOptions["calls"];
  readonly #options: LockHandleOptions;
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

  constructor(options: LockHandleOptions) {
    const { grant, clock, locks } = options;
    const [{ name, share } = { name: "", share: exclusive }] = locks;
    this.name = name;
    this.#share = share;
    this.token = grant.token as FencingToken;
    this.floor = floorIn(grant, grant.parts[0] ?? grant);
    this.permits = Math.max(1, share.permits);
    this.limit = limitIn(share, grant.parts[0] ?? grant);
    this.holding = grant.holding;
    this.#clock = clock;
    this.#calls = options.calls;
    this.#options = options;
    this.#validity = new Validity({
      clock,
      startedAtMs: grant.grantedAtMs,
      ttlMs: grant.ttlMs,
      endMarginMs: options.endMarginMs,
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
    this.#validity.over.listen(this);
  }

  /** The lock is over: it is lost, or its time has passed on the holder's clock. */
  onCancel(): void {
    this.#keepAlive?.stop();
    if (this.#released === undefined) {
      this.#options.onOver(this);
    }
  }

  get mode(): Mode {
    return this.holding.downgraded ? "shared" : modeOf(this.#share);
  }

  get names(): readonly LockName[] {
    return this.#options.locks.map(({ name }) => name);
  }

  floorOf(name: LockName): FencingToken {
    const { grant } = this.#options;
    return floorIn(grant, grant.parts[this.#indexOf(name)] ?? grant);
  }

  limitOf(name: LockName): number {
    const { grant, locks } = this.#options;
    const at = this.#indexOf(name);
    return limitIn(locks[at]?.share ?? exclusive, grant.parts[at] ?? grant);
  }

  /** Whether this lock is among its own, still held or not. */
  includes(lock: WireName): boolean {
    return this.#find(lock) >= 0;
  }

  /** Whether it holds this lock so that another request with this share would have to wait for it. */
  excludes({ lock, share }: AskedLock): boolean {
    const held = this.#options.locks[this.#find(lock)];
    if (held === undefined) {
      return false;
    }
    const modes = [this.holding.downgraded ? "shared" : modeOf(held.share), modeOf(share)];
    if (modes.includes("exclusive")) {
      return true;
    }
    const isPermits = modes.every((mode) => mode === "semaphore");
    return isPermits && held.share.permits + share.permits > Math.min(held.share.limit, share.limit);
  }

  /** For how long it is held unless renewed, in milliseconds. */
  get ttlMs(): number {
    return this.#validity.ttlMs;
  }

  /** It is renewed no more, and ends with its TTL unless it is released before. */
  stopRenewing(): void {
    this.#keepAlive?.stop();
  }

  #find(wanted: WireName): number {
    return this.#options.locks.findIndex(({ lock }) => isSameLock(lock, wanted));
  }

  #indexOf(name: LockName): number {
    const at = this.#find(toWireName(name));
    if (at < 0) {
      throw invalid("name", `one of the names that are held (${describeLocks(this.names)})`, name);
    }
    return at;
  }

  get key(): Uint8Array {
    return this.holding.key;
  }

  get expiresAtMs(): number {
    return this.#validity.expiresAtMs - (this.#clock.suspendedMs ?? 0);
  }

  get remainingMs(): number {
    return this.#released === undefined ? this.#validity.leftMs : 0;
  }

  get held(): boolean {
    return this.remainingMs > 0;
  }

  throwIfLost(): void {
    this.signal.throwIfAborted();
    if (this.#released !== undefined) {
      throw new LockLostError(`${this.#subject} was released. Ask for it again.`);
    }
  }

  /** What is shown of it in logs: no key. */
  toJSON(): object {
    const { names, token, mode, held } = this;
    return { names, token: String(token), mode, held };
  }

  [inspect.custom](): string {
    return `HeldLock { ${this.described}, ${this.mode}, ${this.held ? "held" : "not held"} }`;
  }

  get signal(): AbortSignal {
    return this.#validity.signal;
  }

  async renew(ttlMs?: number): Promise<RenewOutcome> {
    const checkedTtlMs = checkDurationMs("ttlMs", ttlMs, 1);
    const renew = (): Promise<RenewOutcome> => this.#renew(checkedTtlMs ?? this.#validity.ttlMs);
    const outcome = this.#renewals === undefined ? renew() : this.#renewals.then(renew);
    this.#renewals = outcome.catch(() => undefined);
    return outcome;
  }

  async downgrade(): Promise<RenewOutcome> {
    if (this.mode === "semaphore") {
      throw new InvalidArgumentError(
        `${this.#subject} is held as permits of a semaphore, and only an exclusive lock can be downgraded.`,
      );
    }
    this.holding.downgraded = true;
    return this.renew();
  }

  /** Lets others read another value while the lock is held. It gets its full TTL again. */
  async publish(value: Uint8Array): Promise<RenewOutcome> {
    this.holding.value = value;
    const outcome = await this.renew();
    if (outcome === "renewed" && this.holding.value === value) {
      this.holding.value = undefined;
    }
    return outcome;
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // This failure is not one of the work. It must not replace what the work returned or threw, and the lock ends with
    // its TTL.
    await this.release().catch(() => undefined);
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
    await this[Symbol.asyncDispose]();
  }

  /** The lock as messages call it. */
  get described(): string {
    return `${describeLocks(this.names)} (token ${this.token})`;
  }

  get #subject(): string {
    return `The ${this.described}`;
  }

  async #renew(ttlMs: number): Promise<RenewOutcome> {
    if (this.#isOver()) {
      return "lost";
    }
    this.#validity.ask(ttlMs);
    let unanswered = false as boolean;
    try {
      const renewed = await this.#calls.renew(this, {
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
      await this.#calls.unlock(this, Math.min(leftMs, this.#options.unavailableAfterMs));
    } catch (error) {
      if (!this.#validity.over.cancelled && this.#validity.expiresAtMs > this.#clock.now()) {
        throw error;
      }
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

/** A server that knows exclusive locks only names no floor. */
function floorIn({ token }: Granted, { floor }: Pick<Granted, "floor">): FencingToken {
  return (floor === 0n ? token : floor) as FencingToken;
}

function limitIn(share: Share, { limit }: Pick<Granted, "limit">): number {
  return modeOf(share) === "shared" ? Infinity : Math.max(1, limit);
}

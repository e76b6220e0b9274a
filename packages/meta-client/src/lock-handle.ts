import { checkDurationMs, invalid } from "./argument-checks.js";
import type { Granted } from "./grant.js";
import type { FencingToken, HeldLock, HeldLocks, RenewOutcome } from "./held-lock.js";
import type { Hold } from "./hold.js";
import { type AskedLock, exclusive, type Mode, modeOf, type Share } from "./lock-arguments.js";
import { describeLocks, isSameLock, type LockName, toWireName, type WireName } from "./lock-name.js";
import { InvalidArgumentError } from "./meta-errors.js";
import { inspect } from "./platform.js";

/**
 * What users have of a held lock, or of several that are held together; {@link HeldLock} and {@link HeldLocks} say what it does.
 * Only users keep it: all else knows its {@link Hold}.
 */
export class LockHandle implements HeldLock, HeldLocks {
  /** The first name. */
  readonly name: LockName;
  readonly token: FencingToken;
  readonly floor: FencingToken;
  readonly permits: number;
  readonly limit: number;
  readonly #share: Share;
  readonly #hold: Hold;

  constructor(hold: Hold) {
    const { grant, locks } = hold;
    const [{ name, share } = { name: "", share: exclusive }] = locks;
    this.name = name;
    this.#share = share;
    this.token = hold.token;
    this.floor = floorIn(grant, grant.parts[0] ?? grant);
    this.permits = Math.max(1, share.permits);
    this.limit = limitIn(share, grant.parts[0] ?? grant);
    this.#hold = hold;
    hold.handle = this;
  }

  get mode(): Mode {
    return this.#hold.holding.downgraded ? "shared" : modeOf(this.#share);
  }

  get names(): readonly LockName[] {
    return this.#hold.names;
  }

  floorOf(name: LockName): FencingToken {
    const { grant } = this.#hold;
    return floorIn(grant, grant.parts[this.#indexOf(name)] ?? grant);
  }

  limitOf(name: LockName): number {
    const { grant, locks } = this.#hold;
    const at = this.#indexOf(name);
    return limitIn(locks[at]?.share ?? exclusive, grant.parts[at] ?? grant);
  }

  /** Whether this lock is among its own, still held or not. */
  includes(lock: WireName): boolean {
    return this.#find(lock) >= 0;
  }

  /** Whether it holds this lock so that another request with this share would have to wait for it. */
  excludes({ lock, share }: AskedLock): boolean {
    const held = this.#hold.locks[this.#find(lock)];
    if (held === undefined) {
      return false;
    }
    const modes = [this.#hold.holding.downgraded ? "shared" : modeOf(held.share), modeOf(share)];
    if (modes.includes("exclusive")) {
      return true;
    }
    const isPermits = modes.every((mode) => mode === "semaphore");
    return isPermits && held.share.permits + share.permits > Math.min(held.share.limit, share.limit);
  }

  /** For how long it is held unless renewed, in milliseconds. */
  get ttlMs(): number {
    return this.#hold.ttlMs;
  }

  /** It is renewed no more, and ends with its TTL unless it is released before. */
  stopRenewing(): void {
    this.#hold.stopRenewing();
  }

  get key(): Uint8Array {
    return this.#hold.holding.key;
  }

  get expiresAtMs(): number {
    return this.#hold.expiresAtMs;
  }

  get remainingMs(): number {
    return this.#hold.remainingMs;
  }

  get held(): boolean {
    return this.remainingMs > 0;
  }

  get signal(): AbortSignal {
    return this.#hold.signal;
  }

  throwIfLost(): void {
    this.#hold.throwIfLost();
  }

  async renew(ttlMs?: number): Promise<RenewOutcome> {
    return this.#hold.renew(checkDurationMs("ttlMs", ttlMs, 1));
  }

  async downgrade(): Promise<RenewOutcome> {
    if (this.mode === "semaphore") {
      throw new InvalidArgumentError(
        `The ${this.#hold.described} is held as permits of a semaphore, and only an exclusive lock can be downgraded.`,
      );
    }
    return this.#hold.renew(undefined, { downgraded: true });
  }

  /** Lets others read another value while the lock is held. It gets its full TTL again. */
  publish(value: Uint8Array): Promise<RenewOutcome> {
    return this.#hold.renew(undefined, { value });
  }

  release(): Promise<void> {
    return this.#hold.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // This failure is not one of the work. It must not replace what the work returned or threw, and the lock ends with
    // its TTL.
    await this.release().catch(() => undefined);
  }

  /** What is shown of it in logs: no key. */
  toJSON(): object {
    const { names, token, mode, held } = this;
    return { names, token: String(token), mode, held };
  }

  [inspect.custom](): string {
    return `HeldLock { ${this.#hold.described}, ${this.mode}, ${this.held ? "held" : "not held"} }`;
  }

  #find(wanted: WireName): number {
    return this.#hold.locks.findIndex(({ lock }) => isSameLock(lock, wanted));
  }

  #indexOf(name: LockName): number {
    const at = this.#find(toWireName(name));
    if (at < 0) {
      throw invalid("name", `one of the names that are held (${describeLocks(this.names)})`, name);
    }
    return at;
  }
}

/** A server that knows exclusive locks only names no floor. */
function floorIn({ token }: Granted, { floor }: Pick<Granted, "floor">): FencingToken {
  return (floor === 0n ? token : floor) as FencingToken;
}

function limitIn(share: Share, { limit }: Pick<Granted, "limit">): number {
  return modeOf(share) === "shared" ? Infinity : Math.max(1, limit);
}

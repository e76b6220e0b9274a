import { Cancellation, sleep } from "./cancellation.js";
import { checkClientOptions, type ClientConfig, type MetaClientOptions } from "./client-options.js";
import { type ClientParts, systemParts } from "./client-parts.js";
import { Discovery } from "./discovery.js";
import { EndpointRing, shuffled } from "./endpoint-ring.js";
import { Failover } from "./failover.js";
import { type Granted, Holding } from "./grant.js";
import type { HeldLock } from "./held-lock.js";
import {
  type CheckedLockOptions,
  checkLimit,
  checkLockOptions,
  checkObject,
  checkPermits,
  checkTryLockOptions,
  exclusive,
  invalid,
  type LockName,
  type LockOptions,
  toWireName,
  type TryLockOptions,
} from "./lock-arguments.js";
import { type LockAsk, LockCalls } from "./lock-calls.js";
import type { LockChannel } from "./lock-channel.js";
import { LockHandle } from "./lock-handle.js";
import { LockInspector } from "./lock-inspector.js";
import type { Member } from "./member.js";
import { ClosedError } from "./meta-errors.js";
import type { LockRequest, LockResult, UnlockRequest, UnlockResult } from "./original-form.js";
import { checkLockRequest, checkUnlockRequest } from "./original-form.js";
import { Roster } from "./roster.js";
import type { AcquireOptions, Semaphore, SemaphoreOptions, TryAcquireOptions } from "./semaphore.js";

/**
 * A client of the locks of a metasrv cluster.
 *
 * It uses one endpoint until that fails, then another. A request that waits keeps its place in the queue, and a held
 * lock stays held. Its connections and timers do not keep the process alive, except while a call is pending.
 */
export class MetaClient implements AsyncDisposable {
  readonly #config: ClientConfig;
  readonly #parts: ClientParts;
  readonly #ring: EndpointRing;
  readonly #discovery: Discovery | undefined;
  #discovers = false;
  readonly #calls: LockCalls;
  readonly #held = new Roster<LockHandle>();
  /** Shows which locks there are, who holds them and who waits. */
  readonly locks: LockInspector;
  #closing: Promise<void> | undefined;

  /**
   * Does no I/O: the first call does.
   *
   * @throws InvalidArgumentError when an option is not what it should be
   */
  constructor(options: MetaClientOptions);
  /** @internal */
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- as one optional parameter it would be published
  constructor(options: MetaClientOptions, parts?: Partial<ClientParts>);
  constructor(options: MetaClientOptions, parts: Partial<ClientParts> = {}) {
    const config = checkClientOptions(options);
    const all = { ...systemParts, ...parts };
    const { clock, timing } = all;
    this.#config = config;
    this.#parts = all;
    const random = config.firstEndpoint === "random";
    const createChannel = (endpoint: string, onDraining = (): void => undefined): LockChannel =>
      all.createChannel(endpoint, config, all, onDraining);
    // The order is random, so that the clients of a server that fails spread over all others.
    this.#ring = new EndpointRing(random ? shuffled(config.endpoints, all.random) : config.endpoints, {
      clock,
      random: all.random,
      coolDown: timing.coolDown,
      shuffles: random,
      createChannel,
    });
    if (config.discover) {
      this.#discovery = new Discovery({
        clock,
        timing,
        random: all.random,
        ring: this.#ring,
        given: config.endpoints,
        spread: random,
        createChannel,
      });
    }
    const deadPeerMs = timing.connectTimeoutMs + timing.pingIntervalMs + timing.pingTimeoutMs;
    const failover = new Failover({ clock, ring: this.#ring, backoff: timing.backoff, deadPeerMs });
    this.#calls = new LockCalls({ clock, failover, timing, unavailableAfterMs: config.unavailableAfterMs });
    this.locks = new LockInspector(this.#calls);
  }

  /**
   * Waits for a lock and returns a handle to it. Release the handle, best with `await using`.
   *
   * @throws WaitTimeoutError when the lock was not granted within `waitMs`; the reason of `signal` when that aborts;
   *   UnavailableError, LimitExceededError, InvalidArgumentError, ClosedError; LockLostError when the grant was over
   *   before it arrived
   */
  lock(name: LockName, options?: LockOptions): Promise<HeldLock>;
  /**
   * The original form: waits for a lock that is held for `expireSecs` and never renewed, and answers with its key. The
   * client keeps nothing of it: closing it does not release the lock.
   */
  lock(request: LockRequest): Promise<LockResult>;
  async lock(target: LockName | LockRequest, options: LockOptions = {}): Promise<HeldLock | LockResult> {
    if (typeof target !== "string" && !(target instanceof Uint8Array)) {
      return this.#lockPlainly(target);
    }
    return this.#acquire(target, checkLockOptions(options));
  }

  /**
   * Takes a lock if it is free; resolves to null when it is taken.
   *
   * @throws as {@link lock}, except WaitTimeoutError; UnavailableError after two rounds over all endpoints
   */
  async tryLock(name: LockName, options: TryLockOptions = {}): Promise<HeldLock | null> {
    return this.#tryAcquire(name, checkTryLockOptions(options));
  }

  /**
   * Runs `body` while holding a lock. The lock is kept alive meanwhile and released at the end.
   *
   * It always settles as `body` does: neither a failure to release nor the loss of the lock replaces its result or its
   * error. `body` learns of a loss by `lock.signal`: pass it on to what takes time, hand `lock.token` to what the lock
   * guards, and end with `lock.signal.throwIfAborted()` if the result counts only when the lock was held.
   *
   * @throws as {@link lock}, before `body` is called
   */
  withLock<T>(name: LockName, body: (lock: HeldLock) => Promise<T> | T): Promise<T>;
  withLock<T>(name: LockName, options: LockOptions | undefined, body: (lock: HeldLock) => Promise<T> | T): Promise<T>;
  async withLock<T>(
    name: LockName,
    ...rest:
      | [body: (lock: HeldLock) => Promise<T> | T]
      | [options: LockOptions | undefined, body: (lock: HeldLock) => Promise<T> | T]
  ): Promise<T> {
    const [options, body] = rest.length === 1 ? [{}, rest[0]] : rest;
    return this.#with(name, () => checkLockOptions(options ?? {}), body);
  }

  /**
   * The semaphore of that name: a lock that several may hold at a time. Does no I/O. A semaphore and a lock of one name are
   * one lock.
   *
   * @throws InvalidArgumentError for a bad name or limit
   */
  semaphore(name: LockName, options: SemaphoreOptions): Semaphore {
    checkObject("options", options, "an object such as { limit: 10 }");
    toWireName(name);
    const limit = checkLimit(options.limit);
    const check = (given: AcquireOptions | TryAcquireOptions, checked: CheckedLockOptions): CheckedLockOptions => {
      if ("mode" in given && given.mode !== undefined) {
        throw invalid("mode", "absent, because a semaphore has no modes", given.mode);
      }
      return { ...checked, share: checkPermits(given.permits, limit) };
    };
    return {
      acquire: async (given = {}) => this.#acquire(name, check(given, checkLockOptions(given))),
      tryAcquire: async (given = {}) => this.#tryAcquire(name, check(given, checkTryLockOptions(given))),
      withPermits: async <T>(
        ...rest:
          | [body: (lock: HeldLock) => Promise<T> | T]
          | [options: AcquireOptions | undefined, body: (lock: HeldLock) => Promise<T> | T]
      ): Promise<T> => {
        const [given = {}, body] = rest.length === 1 ? [{}, rest[0]] : rest;
        return this.#with(name, () => check(given, checkLockOptions(given)), body);
      },
    };
  }

  /**
   * Releases the lock that `key` holds. Doing so twice, or after the lock has expired, succeeds.
   *
   * @throws InvalidArgumentError for bytes that are no key; UnavailableError, ClosedError
   */
  async unlock(request: UnlockRequest): Promise<UnlockResult> {
    const key = checkUnlockRequest(request);
    if (this.#closing !== undefined) {
      throw new ClosedError();
    }
    this.#discover();
    return { released: await this.#calls.unlock({ holding: new Holding(key), described: "the lock of a key" }) };
  }

  /**
   * Asks which servers there are now, oldest first.
   *
   * @throws UnavailableError, ClosedError; UnexpectedError when the server is older than this client
   */
  members(): Promise<readonly Member[]> {
    this.#discover();
    return this.#calls.members();
  }

  /**
   * Closes the client. Pending calls reject with a ClosedError, and so do later ones. The signals of locks that handles
   * still hold abort, and these locks are given back. That, and unlocks under way, may take one second; locks that are
   * left then end with their TTLs. Idempotent, and never rejects.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #acquire(name: LockName, options: CheckedLockOptions): Promise<HeldLock> {
    const grant = await this.#calls.acquire(this.#ask(name, options));
    return this.#hold(name, grant, options, false);
  }

  async #tryAcquire(name: LockName, options: CheckedLockOptions): Promise<HeldLock | null> {
    const grant = await this.#calls.tryAcquire(this.#ask(name, options));
    return grant === null ? null : this.#hold(name, grant, options, false);
  }

  async #with<T>(
    name: LockName,
    check: () => CheckedLockOptions,
    body: (lock: HeldLock) => Promise<T> | T,
  ): Promise<T> {
    if (typeof body !== "function") {
      throw invalid("body", "a function that is called with the lock", body);
    }
    const checked = check();
    const grant = await this.#calls.acquire(this.#ask(name, checked));
    const lock = this.#hold(name, grant, checked, true);
    try {
      return await body(lock);
    } finally {
      await lock[Symbol.asyncDispose]();
    }
  }

  async #close(): Promise<void> {
    const { clock, timing } = this.#parts;
    this.#discovery?.stop();
    this.#calls.stopAsking();
    for (const handle of this.#held.all()) {
      void handle.abandon();
    }
    const untilMs = clock.now() + timing.closeReleaseMs;
    const bound = new Cancellation();
    const timeUp = sleep(clock, timing.closeReleaseMs, bound).catch(() => undefined);
    await Promise.race([this.#calls.unlocked(), timeUp]);
    bound.cancel(undefined);
    this.#calls.stopUnlocking();
    await this.#ring.close(Math.max(untilMs - clock.now(), 0));
  }

  async #lockPlainly(request: LockRequest): Promise<LockResult> {
    const { name, ttlMs } = checkLockRequest(request);
    const { holding } = await this.#calls.acquire(this.#ask(name, { ttlMs }));
    return { key: holding.key };
  }

  /** Follows the members from the first call on, so that a client that is not used does no I/O. */
  #discover(): void {
    if (!this.#discovers) {
      this.#discovers = true;
      this.#discovery?.start();
    }
  }

  #ask(name: LockName, options: Partial<CheckedLockOptions>): LockAsk {
    this.#discover();
    return {
      lock: toWireName(name),
      ttlMs: options.ttlMs,
      waitMs: options.waitMs,
      owner: options.owner ?? this.#config.owner,
      share: options.share ?? exclusive,
      signal: options.signal,
    };
  }

  #hold(name: LockName, grant: Granted, options: CheckedLockOptions, keepAlive: boolean): LockHandle {
    const handle = new LockHandle({
      name,
      grant,
      share: options.share,
      keepAlive: options.keepAlive ?? keepAlive,
      maxHoldMs: options.maxHoldMs,
      clock: this.#parts.clock,
      calls: this.#calls,
      unavailableAfterMs: this.#config.unavailableAfterMs,
      onOver: (over) => {
        this.#held.delete(over);
      },
    });
    this.#held.add(handle);
    grant.holding.listen(handle);
    if (this.#closing === undefined) {
      return handle;
    }
    // The client was closed after the grant arrived.
    void handle.abandon();
    throw new ClosedError();
  }
}

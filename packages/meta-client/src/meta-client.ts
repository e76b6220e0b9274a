import { Cancellation, sleep } from "./cancellation.js";
import { type ClientEvents, EventListeners, type Listener } from "./client-events.js";
import { checkClientOptions, type MetaClientOptions } from "./client-options.js";
import { type ClientParts, systemParts } from "./client-parts.js";
import {
  type CampaignOptions,
  Elections,
  type Leader,
  type LeadOptions,
  type ObserveOptions,
  type Term,
} from "./election.js";
import { Endpoints } from "./endpoints.js";
import { Holding } from "./grant.js";
import type { HeldLock, HeldLocks } from "./held-lock.js";
import {
  askedOf,
  checkLockOptions,
  checkParts,
  checkTryLockOptions,
  exclusive,
  type LockOptions,
  type LockPart,
  optionsAndBody,
  type TryLockOptions,
  withoutMode,
} from "./lock-arguments.js";
import { LockCalls } from "./lock-calls.js";
import { LockInspector } from "./lock-inspector.js";
import type { LockName } from "./lock-name.js";
import { LockTraces } from "./lock-traces.js";
import { Locker } from "./locker.js";
import type { Member } from "./member.js";
import { ClosedError } from "./meta-errors.js";
import { Nesting } from "./nesting.js";
import {
  checkLockRequest,
  checkUnlockRequest,
  type LockRequest,
  type LockResult,
  type OriginalForm,
  type UnlockRequest,
  type UnlockResult,
} from "./original-form.js";
import { createSemaphore, type Semaphore, type SemaphoreOptions } from "./semaphore.js";

/**
 * A client of the locks of a metasrv cluster.
 *
 * It uses one endpoint until that fails, then another. A request that waits keeps its place in the queue, and a held
 * lock stays held. Its connections and timers do not keep the process alive, except while a call is pending.
 */
export class MetaClient implements AsyncDisposable, OriginalForm {
  readonly #parts: ClientParts;
  readonly #events = new EventListeners();
  readonly #endpoints: Endpoints;
  readonly #calls: LockCalls;
  readonly #nesting: Nesting | undefined;
  readonly #locker: Locker;
  readonly #elections: Elections;
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
    const { clock, random, newTicketId, timing } = all;
    this.#parts = all;
    this.#endpoints = new Endpoints(config, all, this.#events);
    const traces = config.tracer && new LockTraces(config.tracer, config.traceNames);
    this.#calls = new LockCalls({
      clock,
      newTicketId,
      timing,
      failover: this.#endpoints.failover,
      unavailableAfterMs: config.unavailableAfterMs,
      traces,
      onCall: () => {
        this.#endpoints.discover();
      },
    });
    this.#nesting = config.trackNesting ? new Nesting() : undefined;
    this.#locker = new Locker({
      config,
      clock,
      calls: this.#calls,
      events: this.#events,
      nesting: this.#nesting,
      traces,
    });
    this.locks = new LockInspector(this.#calls, config.owner);
    this.#elections = new Elections({
      clock,
      random,
      inspector: this.locks,
      acquire: (name, options, value) => this.#locker.acquire([askedOf(name, options.share)], options, value),
      run: (handle, place, body) => (this.#nesting === undefined ? body() : this.#nesting.run(handle, place, body)),
    });
  }

  /**
   * From now on, the listener is told of that event, in a turn of its own: an error that it throws is nobody's but its own.
   *
   * @returns ends that
   * @throws InvalidArgumentError for what is no event or no function
   */
  on<K extends keyof ClientEvents>(event: K, listener: Listener<K>): () => void {
    return this.#events.on(event, listener);
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
    const checked = checkLockOptions(options);
    return this.#locker.acquire([askedOf(target, checked.share)], checked);
  }

  /**
   * Takes a lock if it is free; resolves to null when it is taken.
   *
   * @throws as {@link lock}, except WaitTimeoutError; UnavailableError after two rounds over all endpoints
   */
  async tryLock(name: LockName, options: TryLockOptions = {}): Promise<HeldLock | null> {
    const checked = checkTryLockOptions(options);
    return this.#locker.tryAcquire([askedOf(name, checked.share)], checked);
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
    const [options, body] = optionsAndBody(rest);
    return this.#locker.with(() => {
      const checked = checkLockOptions(options);
      return [[askedOf(name, checked.share)], checked];
    }, body);
  }

  /**
   * Waits for several locks at once, 16 at most, and returns one handle to them all: all or none are held. The request has one
   * place in the queues of all of them, so requests for several locks never wait for each other in a circle. A lock that is
   * free is kept for it while it waits for the others.
   *
   * @throws as {@link lock}
   */
  async lockAll(locks: readonly (LockName | LockPart)[], options: Omit<LockOptions, "mode"> = {}): Promise<HeldLocks> {
    return this.#locker.acquire(checkParts(locks), checkLockOptions(withoutMode(options)));
  }

  /**
   * Takes several locks if all of them are free; resolves to null when one is taken.
   *
   * @throws as {@link tryLock}
   */
  async tryLockAll(
    locks: readonly (LockName | LockPart)[],
    options: Omit<TryLockOptions, "mode"> = {},
  ): Promise<HeldLocks | null> {
    return this.#locker.tryAcquire(checkParts(locks), checkTryLockOptions(withoutMode(options)));
  }

  /**
   * Runs `body` while holding several locks; as {@link lockAll} and {@link withLock}.
   *
   * @throws as {@link lockAll}, before `body` is called
   */
  withAll<T>(locks: readonly (LockName | LockPart)[], body: (locks: HeldLocks) => Promise<T> | T): Promise<T>;
  withAll<T>(
    locks: readonly (LockName | LockPart)[],
    options: Omit<LockOptions, "mode"> | undefined,
    body: (locks: HeldLocks) => Promise<T> | T,
  ): Promise<T>;
  async withAll<T>(
    locks: readonly (LockName | LockPart)[],
    ...rest:
      | [body: (locks: HeldLocks) => Promise<T> | T]
      | [options: Omit<LockOptions, "mode"> | undefined, body: (locks: HeldLocks) => Promise<T> | T]
  ): Promise<T> {
    const [options, body] = optionsAndBody(rest);
    return this.#locker.with(() => [checkParts(locks), checkLockOptions(withoutMode(options))], body);
  }

  /**
   * The lock of that name that the running code holds, because it runs inside of {@link withLock} or its kin, alone or with
   * others of {@link withAll}; undefined when it holds none, or when the client does not have `trackNesting`. So a function that
   * needs the lock can take it from its caller.
   */
  current(name: LockName): HeldLock | HeldLocks | undefined {
    return this.#nesting?.current(name);
  }

  /**
   * Takes part in the election of a leader, again and again, and calls `body` while this process leads. It resolves when `body`
   * has returned in a term that goes on, and then no more takes part.
   *
   * At the end of a term, by `resign`, an unhealthy answer or the loss of the lock, `term.signal` aborts. The next candidate
   * leads once `body` has ended, or the TTL has passed. Callbacks of one call never run side by side.
   *
   * @throws what `body` throws, unless that only says that its term has ended; LeaderStuckError when `body` goes on for
   *   `stopGraceMs` after its term; else as {@link lock}
   */
  async lead(name: LockName, body: (term: Term) => Promise<void> | void): Promise<void>;
  async lead(
    name: LockName,
    options: LeadOptions | undefined,
    body: (term: Term) => Promise<void> | void,
  ): Promise<void>;
  async lead(
    name: LockName,
    ...rest:
      | [body: (term: Term) => Promise<void> | void]
      | [options: LeadOptions | undefined, body: (term: Term) => Promise<void> | void]
  ): Promise<void> {
    const [options, body] = optionsAndBody(rest);
    return this.#elections.lead(name, options, body);
  }

  /**
   * Takes part in the election of a leader, and yields each of this process's terms. The term ends when the loop goes on or is
   * left, and its `signal` aborts when it ends before.
   *
   * @throws as {@link lock}
   */
  campaign(name: LockName, options: CampaignOptions = {}): AsyncGenerator<Term, void, undefined> {
    return this.#elections.campaign(name, options);
  }

  /**
   * Tells who leads now, and again whenever that or the leader's value changes; null while nobody leads. It goes on over
   * failures of servers, and ends only when none can be reached for `unavailableAfterMs`.
   *
   * @throws as {@link LockInspector.watch}
   */
  observeLeader(name: LockName, options: ObserveOptions = {}): AsyncGenerator<Leader | null, void, undefined> {
    return this.#elections.observe(name, options);
  }

  /**
   * The semaphore of that name: a lock that several may hold at a time. Does no I/O. A semaphore and a lock of one name are
   * one lock.
   *
   * @throws InvalidArgumentError for a bad name or limit
   */
  semaphore(name: LockName, options: SemaphoreOptions): Semaphore {
    return createSemaphore(name, options, this.#locker);
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
    return { released: await this.#calls.unlock({ holding: new Holding(key), described: "the lock of a key" }) };
  }

  /**
   * Asks which servers there are now, oldest first.
   *
   * @throws UnavailableError, ClosedError; UnexpectedError when the server is older than this client
   */
  members(): Promise<readonly Member[]> {
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

  async #close(): Promise<void> {
    const { clock, timing } = this.#parts;
    this.#endpoints.stopDiscovery();
    this.#calls.stopAsking();
    this.#locker.close();
    const untilMs = clock.now() + timing.closeReleaseMs;
    const bound = new Cancellation();
    const timeUp = sleep(clock, timing.closeReleaseMs, bound).catch(() => undefined);
    await Promise.race([this.#calls.unlocked(), timeUp]);
    bound.cancel(undefined);
    this.#calls.stopUnlocking();
    await this.#endpoints.close(Math.max(untilMs - clock.now(), 0));
  }

  async #lockPlainly(request: LockRequest): Promise<LockResult> {
    const { name, ttlMs } = checkLockRequest(request);
    return { key: await this.#locker.acquirePlainly(askedOf(name, exclusive), ttlMs) };
  }
}

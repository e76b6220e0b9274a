import { type Clock, Roster } from "@metasrv/wire";
import type { LockAsk } from "./acquire-call.js";
import { invalid } from "./argument-checks.js";
import type { EventListeners } from "./client-events.js";
import type { ClientConfig } from "./client-options.js";
import { ForgottenHandles } from "./forgotten-handles.js";
import type { Granted } from "./grant.js";
import { Hold, type HoldParts } from "./hold.js";
import type { AskedLock, CheckedLockOptions } from "./lock-arguments.js";
import type { LockCalls } from "./lock-calls.js";
import { LockHandle } from "./lock-handle.js";
import type { LockTraces } from "./lock-traces.js";
import { ClosedError } from "./meta-errors.js";
import type { Nesting } from "./nesting.js";

/** What a {@link Locker} uses. */
export interface LockerParts {
  readonly config: ClientConfig;
  readonly clock: Clock;
  readonly calls: LockCalls;
  readonly events: EventListeners;
  /** Absent: it is not known which locks the code that runs now holds. */
  readonly nesting: Nesting | undefined;
  /** Absent: there are no spans. */
  readonly traces: LockTraces | undefined;
}

/** What is asked for, and how. */
export type Asked = readonly [readonly AskedLock[], CheckedLockOptions];

const noBytes = new Uint8Array();
const noneHeld: LockAsk["within"] = [];

/** Asks for locks as users do, makes their handles, and knows what is held. */
export class Locker {
  readonly #parts: LockerParts;
  readonly #held = new Roster<Hold>();
  readonly #holdParts: HoldParts;
  #closed = false;

  constructor(parts: LockerParts) {
    this.#parts = parts;
    const { clock, calls, events, config } = parts;
    this.#holdParts = {
      clock,
      calls,
      events,
      unavailableAfterMs: config.unavailableAfterMs,
      forgotten: new ForgottenHandles(),
      onOver: (hold) => {
        this.#held.delete(hold);
      },
    };
  }

  /** Waits for locks. @param value - what others read of them */
  async acquire(
    locks: readonly AskedLock[],
    options: CheckedLockOptions,
    value: Uint8Array = noBytes,
  ): Promise<LockHandle> {
    if (options.waitMs === undefined) {
      this.#parts.nesting?.check(locks);
    }
    return this.#hold(locks, await this.#parts.calls.acquire(this.#ask(locks, options, value)), options);
  }

  /** Takes locks if they are free. */
  async tryAcquire(locks: readonly AskedLock[], options: CheckedLockOptions): Promise<LockHandle | null> {
    const grant = await this.#parts.calls.tryAcquire(this.#ask(locks, { ...options, waitMs: 0 }));
    return grant === null ? null : this.#hold(locks, grant, options);
  }

  /** Runs a body while holding locks. */
  async with<T>(check: () => Asked, body: (lock: LockHandle) => Promise<T> | T): Promise<T> {
    if (typeof body !== "function") {
      throw invalid("body", "a function that is called with the lock", body);
    }
    const place = this.#parts.nesting === undefined ? undefined : new Error("the lock was asked for here");
    const [locks, options] = check();
    const lock = await this.acquire(locks, options);
    try {
      const run = () => body(lock);
      return await (place === undefined || this.#parts.nesting === undefined
        ? run()
        : this.#parts.nesting.run(lock, place, run));
    } finally {
      await lock[Symbol.asyncDispose]();
    }
  }

  /** Takes the locks of all handles from them, and gives these locks back. */
  close(): void {
    this.#closed = true;
    for (const hold of this.#held.all()) {
      void hold.abandon();
    }
  }

  /** Waits for a lock in the original form, of which nothing is kept. @returns its key */
  async acquirePlainly(lock: AskedLock, ttlMs: number): Promise<Uint8Array> {
    const { holding } = await this.#parts.calls.acquire(this.#ask([lock], { ttlMs }));
    return holding.key;
  }

  #ask(
    locks: readonly AskedLock[],
    options: Partial<CheckedLockOptions> & Pick<CheckedLockOptions, "ttlMs">,
    value: Uint8Array = noBytes,
  ): LockAsk {
    return {
      locks,
      ttlMs: options.ttlMs,
      waitMs: options.waitMs,
      owner: options.owner ?? this.#parts.config.owner,
      labels: options.labels ?? {},
      value,
      // Who bounds its wait does not wait for ever, whatever it holds.
      within:
        options.waitMs === undefined && this.#parts.nesting !== undefined ? this.#parts.nesting.within() : noneHeld,
      signal: options.signal,
    };
  }

  #hold(locks: readonly AskedLock[], grant: Granted, options: CheckedLockOptions): LockHandle {
    const hold = new Hold(this.#holdParts, locks, grant, options, this.#parts.traces?.hold(locks, grant));
    const handle = new LockHandle(hold);
    this.#held.add(hold);
    grant.holding.listen(hold);
    if (!this.#closed) {
      return handle;
    }
    // The client was closed after the grant arrived.
    void hold.abandon();
    throw new ClosedError();
  }
}

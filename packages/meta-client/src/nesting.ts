import type { HeldLock as HeldLockMessage } from "@metasrv/proto/metasrv/v1";
import type { AskedLock } from "./lock-arguments.js";
import type { LockHandle } from "./lock-handle.js";
import { describeLocks, type LockName, toWireName } from "./lock-name.js";
import { SelfDeadlockError } from "./meta-errors.js";
import { AsyncLocalStorage, fileURLToPath } from "./platform.js";

/** A lock that the code which runs now holds, with all that it holds besides. */
interface Nested {
  readonly handle: LockHandle;
  /** Where it was asked for: its stack says so. */
  readonly place: Error;
  readonly outer: Nested | undefined;
}

/** How many of them servers are told, the innermost first. */
const mostWithin = 16;

/**
 * Knows which locks the code that runs now holds, because it runs inside of `withLock` or its kin. What it started and does not
 * await counts as well, as long as the lock is held.
 */
export class Nesting {
  readonly #nested = new AsyncLocalStorage<Nested>();

  /** Runs a body that holds a lock. @param place - made where the lock was asked for */
  run<T>(handle: LockHandle, place: Error, body: () => T): T {
    return this.#nested.run({ handle, place, outer: this.#nested.getStore() }, body);
  }

  /** The locks that the code which runs now holds, as requests name them. */
  within(): HeldLockMessage[] {
    const within: HeldLockMessage[] = [];
    for (const { handle } of this.#live()) {
      if (within.length < mostWithin) {
        const lock = toWireName(handle.name);
        within.push({ $typeName: "metasrv.v1.HeldLock", lock, token: handle.token });
      }
    }
    return within;
  }

  /**
   * Checks that the code which runs now would not wait for itself.
   *
   * @throws SelfDeadlockError
   */
  check(locks: readonly AskedLock[]): void {
    for (const { handle, place } of this.#live()) {
      const lock = locks.find((asked) => handle.excludes(asked));
      if (lock !== undefined) {
        throw new SelfDeadlockError(
          `The ${describeLocks([lock.name])} is asked for inside of code that holds it, and that code would wait for itself for ever. ` +
            "Take the held lock with current(), ask after it was released, or bound the wait with waitMs. " +
            `It was asked for here:${stackOf(place)}`,
          { cause: place },
        );
      }
    }
  }

  /** The innermost handle of a lock that the code which runs now holds. */
  current(name: LockName): LockHandle | undefined {
    const lock = toWireName(name);
    for (const { handle } of this.#live()) {
      if (handle.includes(lock)) {
        return handle;
      }
    }
    return undefined;
  }

  *#live(): Generator<Nested> {
    for (let nested = this.#nested.getStore(); nested !== undefined; nested = nested.outer) {
      if (nested.handle.held) {
        yield nested;
      }
    }
  }
}

/** Where locks are asked for in this package. */
const ownFiles = ["./meta-client.", "./locker.", "./semaphore.", "./election."];

/** The lines of a stack, without those of this package. */
function stackOf({ stack = "" }: Error): string {
  // In a bundle of CommonJS, modules have no URLs. Nothing is left out there.
  const here = import.meta.url as string | undefined;
  const own = ownFiles.flatMap((file) => {
    const url = here === undefined ? undefined : new URL(file, here);
    return url === undefined ? [] : [url.href, fileURLToPath(url)];
  });
  const lines = stack.split("\n").slice(1);
  return `\n${lines.filter((line) => !own.some((file) => line.includes(file))).join("\n")}`;
}

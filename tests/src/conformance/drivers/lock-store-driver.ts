import {
  createEtcdTicketLog,
  createMemoryTicketLog,
  defaultLimits,
  LockError,
  LockStore,
  systemClock,
  type TicketLog,
} from "@metasrv/metasrv";
import { pino } from "pino";
import { type DriverGrant, DriverError, type LockAsk, type LockDriver, type TryLockAnswer } from "../lock-driver.js";
import { EtcdView } from "./etcd-side.js";

const logger = pino({ level: "silent" });
const clock = systemClock;

/** The lock store in this process, over a memory log. */
export function openMemoryLockStore(): Promise<LockDriver> {
  return LockStoreDriver.open(() => createMemoryTicketLog(), undefined);
}

/** The lock store in this process, over an etcd log. */
export function openEtcdLockStore(endpoint: string, prefix: string): Promise<LockDriver> {
  const createLog = () =>
    createEtcdTicketLog({
      hosts: [endpoint],
      prefix,
      clock,
      logger,
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      memberTtlSeconds: 10,
      maxTxnOps: 128,
    });
  const etcd = new EtcdView(endpoint, prefix, (other) => openEtcdLockStore(endpoint, other));
  return LockStoreDriver.open(createLog, etcd);
}

class LockStoreDriver implements LockDriver {
  readonly etcd?: EtcdView;
  readonly #createLog: () => TicketLog;
  #store: LockStore;

  private constructor(createLog: () => TicketLog, store: LockStore, etcd: EtcdView | undefined) {
    this.#createLog = createLog;
    this.#store = store;
    if (etcd !== undefined) this.etcd = etcd;
  }

  static async open(createLog: () => TicketLog, etcd: EtcdView | undefined): Promise<LockDriver> {
    return new LockStoreDriver(createLog, await startStore(createLog()), etcd);
  }

  async lock(name: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant> {
    const answer = await this.#claim(name, ask);
    if ("granted" in answer) return answer.granted;
    throw new DriverError("other", "refused without having asked for that");
  }

  tryLock(name: Uint8Array, ask: LockAsk = {}): Promise<TryLockAnswer> {
    return this.#claim(name, { ...ask, waitMs: 0 });
  }

  async unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    return await unlessNotHeld("released", this.#store.unlock(key));
  }

  async renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held"> {
    return await unlessNotHeld("renewed", this.#store.renew(key, ttlMs));
  }

  observe(name: Uint8Array) {
    return Promise.resolve(this.#store.state(name));
  }

  async restart(): Promise<void> {
    await this.#store.stop();
    this.#store = await startStore(this.#createLog());
  }

  async tickets(name?: Uint8Array): Promise<string[]> {
    return (await this.etcd?.tickets(name)) ?? [];
  }

  get served(): number {
    return this.#store.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.stop();
    this.etcd?.close();
  }

  async #claim(name: Uint8Array, { signal, ...ask }: LockAsk): Promise<TryLockAnswer> {
    let claim: { cancel(): void } | undefined;
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<TryLockAnswer>((resolve, reject) => {
        signal?.throwIfAborted();
        claim = this.#store.claim(
          { name, ...ask },
          {
            granted: (granted) => {
              resolve({ granted });
            },
            refused: (refused) => {
              resolve({ refused });
            },
            failed: reject,
            lost: () => undefined,
          },
        );
        onAbort = () => {
          claim?.cancel();
          reject(new DriverError("aborted", signal?.reason));
        };
        signal?.addEventListener("abort", onAbort);
      });
    } catch (error) {
      throw driverError(error);
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    }
  }
}

async function startStore(log: TicketLog): Promise<LockStore> {
  const store = new LockStore({ log, clock, limits: defaultLimits, logger });
  await store.start({ address: "conformance:0", version: "0", startedUnixMs: 0 });
  return store;
}

async function unlessNotHeld<T extends string>(done: T, call: Promise<unknown>): Promise<T | "not-held"> {
  try {
    await call;
    return done;
  } catch (error) {
    if (error instanceof LockError && error.reason === "not-held") return "not-held";
    throw driverError(error);
  }
}

function driverError(error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  return error instanceof LockError
    ? new DriverError(error.reason, error, error.state)
    : new DriverError("other", error);
}

import {
  type HeldLock,
  type HeldLocks,
  InvalidArgumentError,
  LockLostError,
  type LockPart,
  type MetaClient,
  MetaError,
  type RenewOutcome,
  WaitTimeoutError,
} from "@metasrv/meta-client";
import type { LockBackend } from "../lock-backend.js";
import {
  DriverError,
  type DriverGrant,
  type DriverShare,
  type LockAsk,
  type LockCalls,
  noState,
  type TryLockAnswer,
} from "../lock-driver.js";
import { wireError } from "./wire-error.js";

/** What the TypeScript client does not have, wherever it runs. */
export const clientIsWithout = {
  "ticket-ids": "the client chooses them itself",
  "refusal-state": "the client answers null",
  "renewal-by-key": "the client renews by the handle of a lock that it holds",
} satisfies LockBackend["without"];

/** A client does not take a lock whose TTL is over when it hears of the grant, which on a busy machine is late. */
export const clientTtlStepMs = 1_000;

/** The calls of scenarios by the TypeScript client. It uses nothing of Node, so that it runs in a page, too. */
export class ClientLocks implements LockCalls {
  readonly #client: MetaClient;
  /** Handles by key, because the client renews by handle. */
  readonly #handles = new Map<string, HeldLock | HeldLocks>();

  constructor(client: MetaClient) {
    this.#client = client;
  }

  async lock(name: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant> {
    try {
      const { share, others, ...asked } = ask;
      // A scenario says itself when a lock is renewed.
      const options = { ...asked, keepAlive: false };
      if (others !== undefined) {
        return this.#keepAll(await this.#client.lockAll([{ name, share }, ...others].map(partOf), options));
      }
      const lock =
        typeof share === "object"
          ? this.#client.semaphore(name, share).acquire({ ...options, permits: share.permits })
          : this.#client.lock(name, { ...options, mode: share });
      return this.#keep(await lock);
    } catch (error) {
      throw driverError(error, ask.signal);
    }
  }

  async tryLock(name: Uint8Array, ask: LockAsk = {}): Promise<TryLockAnswer> {
    try {
      const { share, others, ...asked } = ask;
      // A scenario says itself when a lock is renewed.
      const options = { ...asked, keepAlive: false };
      if (others !== undefined) {
        const locks = await this.#client.tryLockAll([{ name, share }, ...others].map(partOf), options);
        return locks === null ? { refused: noState } : { granted: this.#keepAll(locks) };
      }
      const lock =
        typeof share === "object"
          ? await this.#client.semaphore(name, share).tryAcquire({ ...options, permits: share.permits })
          : await this.#client.tryLock(name, { ...options, mode: share });
      if (lock !== null) {
        return { granted: this.#keep(lock) };
      }
      return { refused: noState };
    } catch (error) {
      throw driverError(error, ask.signal);
    }
  }

  async unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    try {
      return (await this.#client.unlock({ key })).released ? "released" : "not-held";
    } catch (error) {
      throw driverError(error);
    }
  }

  renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held"> {
    return this.#renewal(key, (handle) => handle.renew(ttlMs));
  }

  downgrade(key: Uint8Array): Promise<"renewed" | "not-held"> {
    return this.#renewal(key, async (handle) => {
      if (!("downgrade" in handle)) {
        throw new DriverError("invalid-mode", "several locks cannot be downgraded");
      }
      return handle.downgrade();
    });
  }

  async #renewal(
    key: Uint8Array,
    renew: (handle: HeldLock | HeldLocks) => Promise<RenewOutcome>,
  ): Promise<"renewed" | "not-held"> {
    const handle = this.#handles.get(String(key));
    if (handle === undefined) {
      throw new DriverError("invalid-key", "the client renews only what it holds");
    }
    try {
      const outcome = await renew(handle);
      if (outcome === "unknown") {
        throw new Error("the outcome of the renewal is not known");
      }
      return outcome === "renewed" ? "renewed" : "not-held";
    } catch (error) {
      throw driverError(error);
    }
  }

  async force(name: Uint8Array, token: bigint): Promise<"released" | "not-held"> {
    try {
      await this.#client.locks.force(name, token, { reason: "a scenario" });
      return "released";
    } catch (error) {
      if (error instanceof LockLostError) {
        return "not-held";
      }
      throw driverError(error);
    }
  }

  #keepAll(locks: HeldLocks): DriverGrant {
    const { key, token } = locks;
    this.#handles.set(String(key), locks);
    return { key, token, floors: locks.names.map((name) => locks.floorOf(name)) };
  }

  #keep(lock: HeldLock): DriverGrant {
    const { key, token, floor, limit } = lock;
    this.#handles.set(String(key), lock);
    return { key, token, floor, limit };
  }
}

function partOf({ name, share }: { readonly name: Uint8Array; readonly share?: DriverShare | undefined }): LockPart {
  return { name, ...(typeof share === "object" ? share : { mode: share }) };
}

function driverError(error: unknown, signal?: AbortSignal): DriverError {
  if (signal?.aborted === true && error === signal.reason) {
    return new DriverError("aborted", error);
  }
  if (error instanceof WaitTimeoutError) {
    const { holderOwner = "", holderToken = 0n, waiters = 0, holderCount = 0 } = error;
    return new DriverError("wait-timed-out", error, { ...noState, holderOwner, holderToken, waiters, holderCount });
  }
  if (error instanceof InvalidArgumentError && error.cause === undefined) {
    return new DriverError("invalid-argument", error);
  }
  return wireError(error instanceof MetaError ? error.cause : error);
}

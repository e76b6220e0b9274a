import type { Locks } from "../api/locks.js";
import type { Limits } from "../model/limits.js";
import { type LockName, lockNameOf } from "../model/ticket-ref.js";
import type { Claim, ClaimListener, ClaimRequest, Renewal } from "../node/claim.js";
import type { LockNode } from "../node/lock-node.js";
import type { Guard } from "./guard.js";
import { GuardedClaim, GuardedLosableClaim, guardedRenewal } from "./guarded-claim.js";

/** What is guarded. */
export type UnguardedLocks = Locks & Pick<LockNode, "namesOf">;

/** The locks, as one caller may use them. */
export class GuardedLocks implements Locks {
  readonly #locks: UnguardedLocks;
  readonly #guard: Guard;
  readonly #limits: Pick<Limits, "defaultTtlMs">;

  constructor(locks: UnguardedLocks, guard: Guard, limits: Pick<Limits, "defaultTtlMs">) {
    this.#locks = locks;
    this.#guard = guard;
    this.#limits = limits;
  }

  /** @throws LockError as the node does, `permission-denied`, `unauthenticated`, `quota-exceeded` */
  claim(request: ClaimRequest, listener: ClaimListener): Claim {
    const { usage } = this.#guard.principal;
    const names = namesOf(request);
    this.#guard.requireAll("lock", names);
    usage.request();
    const ttlMs = usage.ttlMs(request.ttlMs ?? 0, this.#limits.defaultTtlMs);
    const { waitMs = Number.POSITIVE_INFINITY } = request;
    const guarded = this.#guarded(names, listener, waitMs === 0 ? undefined : waitMs);
    return guarded.begin(() => this.#locks.claim({ ...request, ttlMs, account: usage }, guarded));
  }

  /**
   * The key is enough, whatever the right.
   *
   * @throws LockError as the node does, `quota-exceeded`
   */
  async unlock(key: Uint8Array): Promise<void> {
    this.#guard.principal.usage.upkeep();
    await this.#locks.unlock(key);
  }

  /** @throws LockError as the node does, `permission-denied`, `unauthenticated`, `quota-exceeded` */
  async renew(key: Uint8Array, renewal: Renewal = {}): Promise<number> {
    return this.#locks.renew(key, guardedRenewal(this.#guard, this.#locks.namesOf(key), renewal));
  }

  /** @throws LockError as {@link renew} */
  async resume(
    key: Uint8Array,
    renewal: Renewal,
    listener: ClaimListener,
  ): Promise<{ readonly claim: Claim; readonly ttlMs: number }> {
    const names = this.#locks.namesOf(key);
    const permitted = guardedRenewal(this.#guard, names, renewal);
    const guarded = this.#guarded(names, listener, undefined);
    const { claim, ttlMs } = await this.#locks.resume(key, permitted, guarded);
    return { claim: guarded.begin(() => claim), ttlMs };
  }

  #guarded(names: readonly LockName[], listener: ClaimListener, waitMs: number | undefined): GuardedClaim {
    // The node keeps less of those who cannot be told of a loss.
    return listener.lost === undefined
      ? new GuardedClaim(this.#guard, names, listener, waitMs)
      : new GuardedLosableClaim(this.#guard, names, listener, waitMs);
  }
}

function namesOf({ name, others = [] }: ClaimRequest): readonly LockName[] {
  return [lockNameOf(name), ...others.map((part) => lockNameOf(part.name))];
}

import { type ForcedBy, type LockError, type LockState, waitTimedOutUnseen } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { Claim, ClaimListener, Grant, LossReason, Renewal } from "../node/claim.js";
import type { Guard } from "./guard.js";
import type { Rights } from "./rights.js";

/** A claim of one who may not do everything: it stands between the node and the one who claims, both ways. */
export class GuardedClaim implements Claim, ClaimListener {
  readonly #guard: Guard;
  readonly #names: readonly LockName[];
  readonly #waitMs: number;
  /** By which the claim was permitted. */
  readonly #rights: Rights;
  #claim: Claim | undefined;
  #counted: boolean;
  protected readonly listener: ClaimListener;

  /** @param waitMs - how long it waits, in milliseconds; undefined for one that does not wait, and is not counted */
  constructor(guard: Guard, names: readonly LockName[], listener: ClaimListener, waitMs: number | undefined) {
    this.#guard = guard;
    this.#names = names;
    this.#rights = guard.principal.rights;
    this.listener = listener;
    this.#waitMs = waitMs ?? 0;
    this.#counted = waitMs !== undefined && guard.principal.usage.waits(names);
  }

  /** Makes the claim, before anything is told of it. */
  begin(make: () => Claim): this {
    try {
      this.#claim = make();
    } catch (error) {
      this.#waited();
      throw error;
    }
    return this;
  }

  cancel(): void {
    this.#waited();
    this.#claim?.cancel();
  }

  detach(): void {
    this.#waited();
    this.#claim?.detach();
  }

  release(): Promise<void> {
    return this.#made().release();
  }

  async renew(renewal: Renewal): Promise<number> {
    return this.#made().renew(guardedRenewal(this.#guard, this.#names, renewal));
  }

  granted(grant: Grant): void {
    this.#waited();
    if (this.#guard.permitsStill(this.#rights, "lock", this.#names)) {
      this.listener.granted(grant);
      return;
    }
    // The node must have told the grant to its end before the lock can be released. If that fails, it ends with its TTL.
    queueMicrotask(() => {
      this.release().catch(() => undefined);
    });
    this.listener.failed(this.#guard.refusal("lock", this.#names));
  }

  refused(state: LockState): void {
    this.#waited();
    this.listener.refused(this.#sees(state) ? state : unseen(state));
  }

  failed(error: LockError): void {
    this.#waited();
    const { state } = error;
    this.listener.failed(state === undefined || this.#sees(state) ? error : waitTimedOutUnseen(this.#waitMs));
  }

  #sees({ name = this.#names[0] }: LockState): boolean {
    return name !== undefined && this.#guard.permits("inspect", name);
  }

  #waited(): void {
    if (this.#counted) {
      this.#counted = false;
      this.#guard.principal.usage.waited(this.#names);
    }
  }

  #made(): Claim {
    if (this.#claim === undefined) {
      throw new Error("a claim is used that was not made");
    }
    return this.#claim;
  }
}

/** One whose listener can be told of a loss. */
export class GuardedLosableClaim extends GuardedClaim {
  lost(reason: LossReason, forced?: ForcedBy): void {
    this.listener.lost?.(reason, forced);
  }
}

/**
 * A renewal that may be made.
 *
 * @throws LockError `permission-denied`, `unauthenticated`, `quota-exceeded`
 */
export function guardedRenewal(guard: Guard, names: readonly LockName[], renewal: Renewal): Renewal {
  const { usage } = guard.principal;
  guard.requireAll("lock", names);
  usage.upkeep();
  usage.ttlMs(renewal.ttlMs ?? 0, 0);
  return { ...renewal, account: usage };
}

/** Says that a lock is taken, and nothing of those who have it. */
function unseen({ name }: LockState): LockState {
  return {
    ...(name !== undefined && { name }),
    holderOwner: "",
    holderToken: 0n,
    waiters: 0,
    holders: [],
    holderCount: 0,
    permitsHeld: 0,
    limit: 0,
    position: 0,
  };
}

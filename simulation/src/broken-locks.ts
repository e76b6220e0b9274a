import type { Locks } from "../../packages/metasrv/src/api/locks.js";
import type { ForcedBy } from "../../packages/metasrv/src/model/lock-errors.js";
import type {
  Claim,
  ClaimListener,
  ClaimRequest,
  Grant,
  LossReason,
  Renewal,
} from "../../packages/metasrv/src/node/claim.js";

/** What the services use of a node, unchanged unless a subclass changes it. */
class WrappedLocks implements Locks {
  readonly #below: Locks;

  constructor(below: Locks) {
    this.#below = below;
  }

  claim(request: ClaimRequest, listener: ClaimListener): Claim {
    const wrapped = this.listener(listener);
    return this.changed(this.#below.claim(request, wrapped), wrapped);
  }

  async resume(key: Uint8Array, renewal: Renewal, listener: ClaimListener): Promise<{ claim: Claim; ttlMs: number }> {
    const wrapped = this.listener(listener);
    const resumed = await this.#below.resume(key, renewal, wrapped);
    wrapped.key = key;
    return { ...resumed, claim: this.changed(resumed.claim, wrapped) };
  }

  unlock(key: Uint8Array): Promise<void> {
    return this.#below.unlock(key);
  }

  renew(key: Uint8Array, renewal?: Renewal): Promise<number> {
    return this.#below.renew(key, renewal);
  }

  protected listener(listener: ClaimListener): WrappedListener {
    return new WrappedListener(listener);
  }

  protected readonly changed: (claim: Claim, told: WrappedListener) => Claim = (claim) => claim;
}

/** Passes on everything that it is told. */
class WrappedListener implements ClaimListener {
  protected readonly below: ClaimListener;
  /** Set once the lock is granted. */
  key: Uint8Array | undefined;

  constructor(below: ClaimListener) {
    this.below = below;
  }

  granted(grant: Grant): void {
    this.key = grant.key;
    this.below.granted(grant);
  }

  refused(...[state]: Parameters<ClaimListener["refused"]>): void {
    this.below.refused(state);
  }

  failed(...[error]: Parameters<ClaimListener["failed"]>): void {
    this.below.failed(error);
  }

  lost(reason: LossReason, forced?: ForcedBy): void {
    this.below.lost?.(reason, forced);
  }
}

/** The token that is told is not the ticket's. */
export class RenumberedGrants extends WrappedLocks {
  readonly #next: () => bigint;

  constructor(below: Locks, next: () => bigint) {
    super(below);
    this.#next = next;
  }

  protected override listener(listener: ClaimListener): WrappedListener {
    return new RenumberingListener(listener, this.#next);
  }
}

class RenumberingListener extends WrappedListener {
  readonly #next: () => bigint;

  constructor(below: ClaimListener, next: () => bigint) {
    super(below);
    this.#next = next;
  }

  override granted(grant: Grant): void {
    super.granted({ ...grant, token: this.#next() });
  }
}

/** The floor that is told is the ticket's own token, though others hold that have lower ones. */
export class OwnFloors extends WrappedLocks {
  protected override listener(listener: ClaimListener): WrappedListener {
    return new OwnFloorListener(listener);
  }
}

class OwnFloorListener extends WrappedListener {
  override granted(grant: Grant): void {
    super.granted({ ...grant, floor: grant.token });
  }
}

/** The floors of several locks are changed before they are told. */
export class PartFloors extends WrappedLocks {
  readonly #change: ChangeOfParts;

  constructor(below: Locks, change: ChangeOfParts) {
    super(below);
    this.#change = change;
  }

  protected override listener(listener: ClaimListener): WrappedListener {
    return new PartFloorListener(listener, this.#change);
  }
}

type ChangeOfParts = (grant: Grant) => Grant["parts"];

/** The floor of each lock is the ticket's own token, though others hold it that have lower ones. */
export function ownPartFloors({ parts, token }: Grant): Grant["parts"] {
  return parts.map((part) => ({ ...part, floor: token }));
}

/** The floors of the locks are in the order in which nobody asked for them. */
export function mixedPartFloors({ parts }: Grant): Grant["parts"] {
  return [...parts].reverse();
}

class PartFloorListener extends WrappedListener {
  readonly #change: ChangeOfParts;

  constructor(below: ClaimListener, change: ChangeOfParts) {
    super(below);
    this.#change = change;
  }

  override granted(grant: Grant): void {
    const parts = this.#change(grant);
    super.granted({ ...grant, floor: parts[0]?.floor ?? grant.floor, parts });
  }
}

/** When a session is over, the locks that were held on it are released, even those that another node serves by then. */
export class HoldsEndWithSession extends WrappedLocks {
  protected override readonly changed = (claim: Claim, told: WrappedListener): Claim => ({
    cancel: () => {
      claim.cancel();
    },
    detach: () => {
      claim.detach();
      if (told.key !== undefined) {
        this.unlock(told.key).catch(ignore);
      }
    },
    release: () => claim.release(),
    renew: (renewal) => claim.renew(renewal),
  });
}

/** An unlock is answered before the log has taken it. */
export class EarlyUnlocks extends WrappedLocks {
  protected override readonly changed = (claim: Claim): Claim => ({
    cancel: () => {
      claim.cancel();
    },
    detach: () => {
      claim.detach();
    },
    release: () => {
      claim.release().catch(ignore);
      return Promise.resolve();
    },
    renew: (renewal) => claim.renew(renewal),
  });
}

/** A client is told that a lock has expired when it moved to another node. */
export class MovedIsExpired extends WrappedLocks {
  protected override listener(listener: ClaimListener): WrappedListener {
    return new ExpiringListener(listener);
  }
}

class ExpiringListener extends WrappedListener {
  override lost(reason: LossReason, forced?: ForcedBy): void {
    super.lost(reason === "moved" ? "expired" : reason, forced);
  }
}

/** A client is not told of a release by force. */
export class SilentForce extends WrappedLocks {
  protected override listener(listener: ClaimListener): WrappedListener {
    return new SilentListener(listener);
  }
}

class SilentListener extends WrappedListener {
  override lost(reason: LossReason): void {
    if (reason !== "forced") {
      super.lost(reason);
    }
  }
}

function ignore(): void {
  // The lock then ends with its TTL.
}

import type { LockRequest } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import { Cancellation } from "../../packages/meta-client/src/cancellation.js";
import type { Granted, Holding, LockOutcome, Renewed } from "../../packages/meta-client/src/grant.js";
import { EndpointFailure, type Inspecting, type LockChannel } from "../../packages/meta-client/src/lock-channel.js";
import type { Member } from "../../packages/meta-client/src/member.js";
import type { Random } from "./random.js";

/** Does what the channel below does, unless a subclass changes it. */
class WrappedChannel implements LockChannel {
  protected readonly below: LockChannel;

  constructor(below: LockChannel) {
    this.below = below;
  }

  get endpoint(): string {
    return this.below.endpoint;
  }

  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    return this.below.lock(request, scope);
  }

  unlock(holding: Holding, scope: Cancellation): Promise<void> {
    return this.below.unlock(holding, scope);
  }

  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    return this.below.renew(holding, ttlMs, scope);
  }

  inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T> {
    return this.below.inspect(ask, scope);
  }

  follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined> {
    return this.below.follow(open, scope);
  }

  members(scope: Cancellation): Promise<readonly Member[]> {
    return this.below.members(scope);
  }

  watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    return this.below.watchMembers(scope, onMembers);
  }

  leave(when: "now" | "at leisure"): Promise<void> {
    return this.below.leave(when);
  }

  close(withinMs: number): Promise<void> {
    return this.below.close(withinMs);
  }
}

/** Requests are changed before they are sent. */
export class ChangedRequests extends WrappedChannel {
  readonly #change: (request: LockRequest) => Partial<LockRequest>;

  constructor(below: LockChannel, change: (request: LockRequest) => Partial<LockRequest>) {
    super(below);
    this.#change = change;
  }

  override lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    return super.lock({ ...request, ...this.#change(request) }, scope);
  }
}

/** Grants are changed before anybody is told. */
abstract class ChangedGrants extends WrappedChannel {
  protected readonly clock: Clock;

  constructor(below: LockChannel, clock: Clock) {
    super(below);
    this.clock = clock;
  }

  override async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const askedAtMs = this.clock.now();
    const outcome = await super.lock(request, scope);
    return outcome.kind === "granted" ? { ...outcome, grant: this.changed(outcome.grant, askedAtMs) } : outcome;
  }

  protected abstract changed(grant: Granted, askedAtMs: number): Granted;
}

/** The validity counts from the answer. */
export class CountsFromAnswer extends ChangedGrants {
  protected override changed(grant: Granted): Granted {
    return { ...grant, grantedAtMs: this.clock.now() };
  }

  override async renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const renewed = await super.renew(holding, ttlMs, scope);
    return { ...renewed, sentAtMs: this.clock.now() };
  }
}

/** The client believes the node's measure of a wait, although the node's clock may be wrong after a long one. */
export class TrustsLongWaits extends ChangedGrants {
  protected override changed(grant: Granted, askedAtMs: number): Granted {
    return { ...grant, grantedAtMs: askedAtMs + (grant.grantedAtMs - askedAtMs) / (1 - driftOfWait) };
  }
}

/** As the client counts it. */
const driftOfWait = 0.001;

/** Nobody hears of a loss. */
export class Deaf extends ChangedGrants {
  protected override changed(grant: Granted): Granted {
    grant.holding.listen = () => undefined;
    return grant;
  }
}

/** A renewal without an answer counts as one that has not reached the server, although it may still arrive. */
export class ForgetsAttempts extends WrappedChannel {
  override async renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    try {
      return await super.renew(holding, ttlMs, scope);
    } catch (error) {
      throw error instanceof EndpointFailure ? new EndpointFailure(error.endpoint, error.message, false) : error;
    }
  }
}

/** A release names the lock that was granted last. */
export class ReleasesTheLatest extends ChangedGrants {
  #latest: Holding | undefined;

  protected override changed(grant: Granted): Granted {
    this.#latest = grant.holding;
    return grant;
  }

  override unlock(holding: Holding, scope: Cancellation): Promise<void> {
    return super.unlock(this.#latest ?? holding, scope);
  }
}

/** The server is not told that a request is not wanted any more. */
export class WithdrawsNothing extends WrappedChannel {
  override async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    scope.throwIfCancelled();
    return await new Promise((resolve, reject) => {
      scope.listen({ onCancel: reject });
      super.lock(request, new Cancellation()).then(resolve, reject);
    });
  }
}

/** Every attempt of a request is a new ticket. */
export function freshIds(below: LockChannel, random: Random): LockChannel {
  return new ChangedRequests(below, () => ({ ticketId: random.bytes(16) }));
}

/** Every attempt of a request says that it is the first. */
export function forgetsToCount(below: LockChannel): LockChannel {
  return new ChangedRequests(below, () => ({ attempt: 0 }));
}

/** A clock that counts too little of the time that passes. */
export function slowClock(clock: Clock): Clock {
  return {
    now: () => clock.now() * 0.9,
    after: (delayMs, callback, holdsProcess) => clock.after(delayMs, callback, holdsProcess),
  };
}

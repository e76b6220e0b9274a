import { LossReason, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import { grantMessage, refusalMessage } from "../api/claim-messages.js";
import { type ForcedBy, type LockError, type LockState, notHeld } from "../model/lock-errors.js";
import type { Claim, ClaimListener, Grant, LossReason as LossReasonName, Renewal } from "../node/claim.js";

/** What a lock needs of its session. */
export interface SessionLockHost {
  /** Tells the client something of a command or lock. */
  push(number: number, event: SessionEvent["event"], forced?: ForcedBy): void;
  /** Tells the client of an error. */
  fail(number: number, error: unknown): void;
  /** The lock's number is free again. */
  forget(lock: SessionLock): void;
}

const lossReasons: Readonly<Record<LossReasonName, LossReason>> = {
  expired: LossReason.EXPIRED,
  released: LossReason.RELEASED,
  moved: LossReason.MOVED,
  forced: LossReason.FORCED,
};

/**
 * One lock of a session, from the command that asks for it to its end. It uses its number all that time. After its end
 * it says nothing more, because the number may belong to another lock by then.
 */
export class SessionLock implements ClaimListener {
  readonly number: number;
  readonly #host: SessionLockHost;
  #claim: Claim | undefined;
  #phase: "asked" | "held" | "over" = "asked";
  /** Why the lock was lost before the client knew that this server serves it. */
  #loss: { readonly reason: LossReasonName; readonly forced: ForcedBy | undefined } | undefined;

  constructor(host: SessionLockHost, number: number) {
    this.#host = host;
    this.number = number;
  }

  /** Sets the claim, before anything is told of it. */
  asked(claim: Claim): void {
    this.#claim = claim;
  }

  /** The lock was held before and is served here from now on. The client knows. */
  resumed(claim: Claim): void {
    this.#claim = claim;
    this.#phase = "held";
    if (this.#loss !== undefined) {
      this.lost(this.#loss.reason, this.#loss.forced);
    }
  }

  /** Ends the wait. If the grant has crossed that on the way, nobody wants the lock, and it is released. */
  cancel(): void {
    if (this.#phase === "asked") {
      this.#claim?.cancel();
      this.#end();
    } else if (this.#phase === "held") {
      // If that fails, the lock ends with its TTL.
      this.#claim?.release().catch(() => undefined);
      this.#end();
    }
  }

  /** The client is gone; it may come back with its ticket id. */
  leave(): void {
    this.#phase = "over";
    this.#claim?.detach();
  }

  /** @throws LockError as {@link Claim.renew} */
  async renew(renewal: Renewal): Promise<number> {
    return this.#held().renew(renewal);
  }

  /** @throws LockError as {@link Claim.release} */
  async release(): Promise<void> {
    await this.#held().release();
    this.#end();
  }

  granted(grant: Grant): void {
    if (this.#phase === "asked") {
      this.#phase = "held";
      this.#host.push(this.number, { case: "granted", value: grantMessage(grant) });
    }
  }

  refused(state: LockState): void {
    if (this.#end()) {
      this.#host.push(this.number, { case: "refused", value: refusalMessage(state) });
    }
  }

  failed(error: LockError): void {
    if (this.#end()) {
      this.#host.fail(this.number, error);
    }
  }

  lost(reason: LossReasonName, forced?: ForcedBy): void {
    if (this.#phase === "asked") {
      this.#loss = { reason, forced };
    } else if (this.#end()) {
      this.#host.push(this.number, { case: "lost", value: lossReasons[reason] }, forced);
    }
  }

  #held(): Claim {
    if (this.#phase !== "held" || this.#claim === undefined) {
      throw notHeld();
    }
    return this.#claim;
  }

  #end(): boolean {
    if (this.#phase === "over") {
      return false;
    }
    this.#phase = "over";
    this.#host.forget(this);
    return true;
  }
}

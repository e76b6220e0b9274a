import type { LockError, LockState } from "../src/model/lock-errors.js";
import type { ClaimListener, Grant, LossReason } from "../src/node/claim.js";

/** Remembers what a claim's listener was told. */
export class Recorder implements ClaimListener {
  /** In short: `granted`, `refused`, `failed: <reason>`, `lost: <reason>`. */
  readonly told: string[] = [];
  readonly grants: Grant[] = [];
  readonly errors: LockError[] = [];
  readonly refusals: LockState[] = [];

  granted(grant: Grant): void {
    this.grants.push(grant);
    this.told.push("granted");
  }

  refused(state: LockState): void {
    this.refusals.push(state);
    this.told.push("refused");
  }

  failed(error: LockError): void {
    this.errors.push(error);
    this.told.push(`failed: ${error.reason}`);
  }

  lost(reason: LossReason): void {
    this.told.push(`lost: ${reason}`);
  }

  /** The last grant. */
  get grant(): Grant {
    const grant = this.grants.at(-1);
    if (grant === undefined) {
      throw new Error(`not granted, but told: ${this.told.join(", ") || "nothing"}`);
    }
    return grant;
  }
}

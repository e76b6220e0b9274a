import { LockLostError } from "../../packages/meta-client/src/meta-errors.js";
import { marginMs, Validity } from "../../packages/meta-client/src/validity.js";
import type { Grant } from "../../packages/metasrv/src/locks/claim.js";
import { decodeLockKey, type LockKey } from "../../packages/metasrv/src/locks/lock-key.js";
import type { ProcessClock } from "./simulated-process.js";

/** A lock that a client was granted, with the client's own counting of how long it surely holds it. */
export class Hold {
  readonly key: Uint8Array;
  readonly lockKey: LockKey;
  readonly validity: Validity;
  readonly #clock: ProcessClock;
  readonly #marginCounts: boolean;
  #over = false;

  /**
   * @param countsFromMs - when the request was sent, plus the wait that the node reports, less what its clock may be off
   * @param marginCounts - whether the client's margin makes up for clocks at different rates; else it is held to its count
   */
  constructor(clock: ProcessClock, grant: Grant, countsFromMs: number, marginCounts: boolean) {
    this.key = grant.key;
    this.lockKey = decodeLockKey(grant.key, 1024);
    this.#clock = clock;
    this.#marginCounts = marginCounts;
    this.validity = new Validity({ clock, startedAtMs: countsFromMs, ttlMs: grant.ttlMs, ranOut: lost });
  }

  /** Whether the client surely holds now, by its own clock. Its timers may be late, so they are not asked. */
  believed(): boolean {
    const marginToKeepMs = this.#marginCounts ? marginMs(this.validity.ttlMs) : 0;
    return !this.#over && this.#clock.now() < this.validity.expiresAtMs - marginToKeepMs;
  }

  get leftMs(): number {
    return this.validity.expiresAtMs - this.#clock.now();
  }

  /** The client gives it back, or has heard that it is gone. */
  end(): void {
    this.#over = true;
    this.validity.stop();
  }
}

function lost(): LockLostError {
  return new LockLostError("The lock is lost.");
}

import type { Clock } from "@metasrv/wire";
import { notAMember, shuttingDown } from "../model/lock-errors.js";

/** Whether this node may serve: which member it is, until when it surely is one, and whether it is stopping. */
export class Standing {
  readonly #clock: Clock;
  /** Absent before the node has joined and while its membership is lost. Each membership has an id of its own. */
  #memberId: string | undefined;
  /** Until then, on the clock, no other member can take this one for gone. */
  #aliveUntilMs = 0;
  /** Never becomes false again. While it is true, new requests are refused and no tickets are adopted. */
  #stopping = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get memberId(): string | undefined {
    return this.#memberId;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Whether a grant may be told now: only while the membership surely lasts. */
  get mayGrant(): boolean {
    return this.#clock.now() < this.#aliveUntilMs;
  }

  /** How long the membership surely lasts, in milliseconds; 0 when it may have ended. */
  get leftMs(): number {
    return Math.max(0, this.#aliveUntilMs - this.#clock.now());
  }

  /** Why this node may not serve now, in words for people; undefined while it may. */
  problem(): string | undefined {
    if (this.#stopping) {
      return "it is stopping";
    }
    if (this.#memberId === undefined) {
      return "it is not a member of the cluster: it has not reached the store yet, or has lost it";
    }
    return this.mayGrant ? undefined : "it may not be a member of the cluster any more: the store does not answer";
  }

  /**
   * The member that this node is.
   *
   * @throws LockError `shutting-down` or `not-a-member`
   */
  requireMember(): string {
    if (this.#stopping) {
      throw shuttingDown();
    }
    if (this.#memberId === undefined) {
      throw notAMember();
    }
    return this.#memberId;
  }

  joined(memberId: string): void {
    this.#memberId = memberId;
  }

  extended(aliveUntilMs: number): void {
    this.#aliveUntilMs = aliveUntilMs;
  }

  lost(): void {
    this.#memberId = undefined;
    this.#aliveUntilMs = 0;
  }

  stop(): void {
    this.#stopping = true;
  }
}

import type { Clock } from "@metasrv/wire";
import { notAMember, shuttingDown } from "../model/lock-errors.js";

/** Whether this node may serve: as which member, until when surely, and not while it is being stopped. */
export class Standing {
  readonly #clock: Clock;
  /** Absent before the node has joined and while its membership is lost; each membership has its own. */
  #memberId: string | undefined;
  /** Until when no other member can believe this one gone, on the clock. */
  #aliveUntilMs = 0;
  /** Never taken back: what was not asked for yet is refused, and nothing is adopted any more. */
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

  /** Why this node may not serve now, for people to read; undefined while it may. */
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

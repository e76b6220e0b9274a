import type { Clock } from "@metasrv/wire";
import { durationMs } from "../config/duration.js";
import { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { TicketAccount } from "../node/claim.js";
import type { Quota } from "./quotas-config.js";

/** After how long to ask again where nobody knows when there will be room, in milliseconds. */
const retryAfterMs = 1_000;

/** What one principal uses of this server, and may use. */
export class Usage implements TicketAccount {
  tickets = 0;
  #quota: Quota = {};
  #maxTtlMs: number | undefined;
  readonly #principal: string;
  readonly #clock: Clock;
  /** Requests that are not granted yet, by lock; only while they are bounded. */
  readonly #waiters = new Map<LockName, number>();
  /** How many requests there is room for at a time that is past. Below 0, renewals and releases have gone beyond it. */
  #room: number;
  #roomAtMs: number;

  constructor(principal: string, quota: Quota, clock: Clock) {
    this.#principal = principal;
    this.#clock = clock;
    this.quota = quota;
    this.#room = quota.requestsPerSecond ?? 0;
    this.#roomAtMs = clock.now();
  }

  /** From now on, this is what it may use. What is not in it has no bound. */
  set quota(quota: Quota) {
    this.#quota = quota;
    this.#maxTtlMs = quota.maxTtl === undefined ? undefined : durationMs(quota.maxTtl);
  }

  requireRoom(): void {
    const { tickets = Number.POSITIVE_INFINITY } = this.#quota;
    if (this.tickets >= tickets) {
      throw this.#exceeded(`has ${this.tickets} requests, held and waiting, at this server, of ${tickets} allowed`);
    }
  }

  /**
   * Counts a request.
   *
   * @throws LockError `quota-exceeded` when there were too many in the last second
   */
  request(): void {
    const { requestsPerSecond } = this.#quota;
    if (requestsPerSecond !== undefined) {
      this.#take(requestsPerSecond, 1);
    }
  }

  /**
   * Counts a renewal, or a release by key. It is refused only after a further second's worth of requests: what is held should
   * not be lost because somebody asks for more.
   *
   * @throws LockError `quota-exceeded`
   */
  upkeep(): void {
    const { requestsPerSecond } = this.#quota;
    if (requestsPerSecond !== undefined) {
      this.#take(requestsPerSecond, 1 - requestsPerSecond);
    }
  }

  /**
   * The TTL to ask for.
   *
   * @param ttlMs - in milliseconds; 0: the default
   * @throws LockError `quota-exceeded` when it is too long
   */
  ttlMs(ttlMs: number, defaultTtlMs: number): number {
    const maxTtlMs = this.#maxTtlMs;
    if (maxTtlMs === undefined || (ttlMs === 0 && defaultTtlMs <= maxTtlMs)) {
      return ttlMs;
    }
    if (ttlMs > maxTtlMs) {
      throw new LockError(
        "quota-exceeded",
        `the TTL is ${ttlMs} ms, but ${maxTtlMs} ms is the longest for the principal "${this.#principal}"; ask for a shorter one, ` +
          "and renew the lock",
      );
    }
    return ttlMs === 0 ? maxTtlMs : ttlMs;
  }

  /**
   * Counts a request that waits, until {@link waited}.
   *
   * @returns whether it is counted
   * @throws LockError `quota-exceeded` when too many wait for one of the locks
   */
  waits(names: readonly LockName[]): boolean {
    const { waitersPerLock } = this.#quota;
    if (waitersPerLock === undefined) {
      return false;
    }
    if (names.some((name) => (this.#waiters.get(name) ?? 0) >= waitersPerLock)) {
      throw this.#exceeded(
        `has ${waitersPerLock} requests that wait for this lock at this server, all that are allowed`,
      );
    }
    for (const name of names) {
      this.#waiters.set(name, (this.#waiters.get(name) ?? 0) + 1);
    }
    return true;
  }

  /** One that was counted waits no more. */
  waited(names: readonly LockName[]): void {
    for (const name of names) {
      const waiters = (this.#waiters.get(name) ?? 1) - 1;
      if (waiters === 0) {
        this.#waiters.delete(name);
      } else {
        this.#waiters.set(name, waiters);
      }
    }
  }

  /** @param least - how much room there must be */
  #take(perSecond: number, least: number): void {
    const nowMs = this.#clock.now();
    this.#room = Math.min(perSecond, this.#room + ((nowMs - this.#roomAtMs) / 1000) * perSecond);
    this.#roomAtMs = nowMs;
    if (this.#room < least) {
      throw this.#exceeded(
        `has made ${perSecond} requests in a second at this server, all that are allowed`,
        ((least - this.#room) / perSecond) * 1000,
      );
    }
    this.#room--;
  }

  #exceeded(what: string, afterMs = retryAfterMs): LockError {
    const wait = Math.max(1, Math.ceil(afterMs));
    return new LockError(
      "quota-exceeded",
      `the principal "${this.#principal}" ${what}; ask again in ${wait} ms, or have its quota raised`,
      { retryAfterMs: wait },
    );
  }
}

import type { Logger } from "pino";
import type { Clock } from "../../locks/clock.js";
import type { Member, MembershipListener } from "../ticket-log.js";
import { Backoff } from "./backoff.js";
import type { EtcdClient } from "./etcd-client.js";
import { encodeMember } from "./etcd-codec.js";
import type { EtcdKeys } from "./etcd-keys.js";
import { untilReached } from "./until-reached.js";

/** What a membership works with. */
export interface EtcdMembershipOptions {
  readonly client: EtcdClient;
  readonly keys: EtcdKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long the first joining is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** TTL of the member lease, in whole seconds. */
  readonly memberTtlSeconds: number;
}

/** One lease, and until when it surely lasts. */
interface MemberLease {
  readonly leaseId: string;
  aliveUntilMs: number;
}

/**
 * Keeps this process a member: a key under a lease that is kept alive. When the lease may have lapsed, the membership is
 * lost, and the process joins again as a new member.
 */
export class EtcdMembership {
  readonly #options: EtcdMembershipOptions;
  readonly #member: Member;
  readonly #listener: MembershipListener;
  readonly #backoff: Backoff;
  readonly #ended = new AbortController();
  #lease: MemberLease | undefined;
  #running: Promise<void> | undefined;

  constructor(options: EtcdMembershipOptions, member: Member, listener: MembershipListener) {
    this.#options = options;
    this.#member = member;
    this.#listener = listener;
    this.#backoff = new Backoff(options.clock);
  }

  /** Resolves once the process has joined for the first time. */
  async join(): Promise<void> {
    const { hosts, logger } = this.#options;
    const lease = await untilReached(
      { ...this.#options, backoff: this.#backoff, ended: () => this.#ended.signal.aborted },
      () => this.#grant(),
      (reason) => {
        logger.warn({ reason, hosts }, "could not join yet; trying again");
      },
    );
    this.#running = this.#stay(lease);
  }

  /** Ends the membership; the key is gone when this resolves, if etcd can be reached. */
  async leave(): Promise<void> {
    this.#ended.abort();
    this.#backoff.close();
    const lease = this.#lease;
    await this.#running;
    if (lease !== undefined) {
      await this.#revoke(lease);
    }
  }

  async #stay(first: MemberLease): Promise<void> {
    const { logger } = this.#options;
    let lease: MemberLease | undefined = first;
    const ended = () => this.#ended.signal.aborted;
    while (!ended()) {
      if (lease === undefined) {
        try {
          lease = await this.#grant();
        } catch (error) {
          logger.debug({ err: error }, "could not join again yet");
          await this.#backoff.wait();
          continue;
        }
      }
      await this.#keepAlive(lease);
      if (!ended()) {
        this.#lease = undefined;
        this.#listener.lost();
        void this.#revoke(lease);
        lease = undefined;
      }
    }
  }

  async #grant(): Promise<MemberLease> {
    const { client, keys, clock, memberTtlSeconds } = this.#options;
    const sentAt = clock.now();
    const timeoutMs = this.#intervalMs;
    const { id: leaseId, ttlSeconds } = await client.grantLease(memberTtlSeconds, timeoutMs);
    // As etcdctl writes lease ids.
    const id = BigInt(leaseId).toString(16).padStart(16, "0");
    const lease = { leaseId, aliveUntilMs: sentAt + ttlSeconds * 1000 };
    const leftMs = Math.max(0, sentAt + timeoutMs - clock.now());
    await client.put({ key: keys.member(id), value: encodeMember(this.#member), lease: leaseId }, leftMs);
    this.#lease = lease;
    this.#backoff.reset();
    this.#listener.joined(id);
    this.#listener.extended(lease.aliveUntilMs);
    return lease;
  }

  /** Resolves when the lease may have lapsed, or the membership is to end. */
  async #keepAlive(lease: MemberLease): Promise<void> {
    const { client, clock, logger } = this.#options;
    let nextMs = clock.now() + this.#intervalMs;
    let patienceMs = this.#firstPatienceMs;
    for (;;) {
      await this.#sleepUntil(Math.min(nextMs, lease.aliveUntilMs));
      const sentAt = clock.now();
      if (this.#ended.signal.aborted || sentAt >= lease.aliveUntilMs) {
        return;
      }
      try {
        const timeoutMs = Math.min(patienceMs, lease.aliveUntilMs - sentAt);
        const ttlSeconds = await client.keepLeaseAlive(lease.leaseId, timeoutMs);
        if (ttlSeconds <= 0) {
          return;
        }
        lease.aliveUntilMs = sentAt + ttlSeconds * 1000;
        nextMs = sentAt + this.#intervalMs;
        patienceMs = this.#firstPatienceMs;
        this.#listener.extended(lease.aliveUntilMs);
      } catch (error) {
        logger.debug({ err: error }, "keep-alive of the member lease failed");
        nextMs = clock.now() + retryMs;
        patienceMs = Math.min(2 * patienceMs, this.#intervalMs);
      }
    }
  }

  async #revoke({ leaseId }: MemberLease): Promise<void> {
    try {
      await this.#options.client.revokeLease(leaseId, revokeTimeoutMs);
    } catch (error) {
      this.#options.logger.debug({ err: error }, "could not revoke the member lease; it lapses by itself");
    }
  }

  get #intervalMs(): number {
    return (this.#options.memberTtlSeconds * 1000) / 3;
  }

  /**
   * How long the first attempt at a keep-alive may take; each that follows it twice as long, so that a slow etcd is waited
   * for, and there is time left for the other members when one is silent.
   */
  get #firstPatienceMs(): number {
    return this.#intervalMs / 6;
  }

  async #sleepUntil(atMs: number): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#ended;
    if (signal.aborted) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = clock.after(Math.max(0, atMs - clock.now()), () => {
        signal.removeEventListener("abort", wake);
        resolve();
      });
      const wake = () => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}

const retryMs = 200;
const revokeTimeoutMs = 2_000;

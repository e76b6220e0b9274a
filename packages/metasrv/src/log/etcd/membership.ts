import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Member } from "../../model/member.js";
import type { MembershipListener } from "../command-log.js";
import { Pauses, untilReached } from "./attempts.js";
import type { LogKeys } from "./keys.js";
import { encodeMember } from "./listing.js";
import type { EtcdClient } from "./rpc/etcd-client.js";

/** What a membership works with. */
export interface MembershipOptions {
  readonly client: EtcdClient;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long the first joining is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** TTL of the member lease, in whole seconds. */
  readonly memberTtlSeconds: number;
  /** This process is the member from now on, whose key was put at the revision. Told before the listener. */
  readonly joined: (memberId: string, revision: bigint) => void;
  /** This process is no member any more. Told before the listener. */
  readonly lost: () => void;
}

/** One lease, and until when it surely lasts. */
interface MemberLease {
  readonly lease: bigint;
  readonly memberId: string;
  aliveUntilMs: number;
}

/**
 * Keeps this process a member: a key under a lease that is kept alive. When the lease may have lapsed, the membership is
 * lost, and the process joins again as a new member.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #member: Member;
  readonly #listener: MembershipListener;
  readonly #pauses: Pauses;
  readonly #ended = new AbortController();
  /** Ends the pause between two keep-alives. */
  #wake: (() => void) | undefined;
  /** The member whose key is known to be gone. */
  #gone: string | undefined;
  #lease: MemberLease | undefined;
  #running: Promise<void> | undefined;

  constructor(options: MembershipOptions, member: Member, listener: MembershipListener) {
    this.#options = options;
    this.#member = member;
    this.#listener = listener;
    this.#pauses = new Pauses(options.clock, options.random);
  }

  /** Resolves once the process has joined for the first time. */
  async join(): Promise<void> {
    const { hosts, logger } = this.#options;
    const lease = await untilReached(
      { ...this.#options, pauses: this.#pauses, ended: () => this.#ended.signal.aborted },
      () => this.#grant(),
      (reason) => {
        logger.warn({ reason, hosts }, "could not join yet; trying again");
      },
    );
    this.#running = this.#stay(lease);
  }

  /**
   * The key of the member is gone, or must not be relied on: this process is no member any more, and joins again. Nothing
   * happens if it is another member meanwhile.
   */
  end(memberId: string): void {
    if (this.#lease?.memberId === memberId) {
      this.#gone = memberId;
      this.#wake?.();
    }
  }

  /** Ends the membership; the key is gone when this resolves, if etcd can be reached. */
  async leave(): Promise<void> {
    this.#ended.abort();
    this.#wake?.();
    this.#pauses.close();
    await this.#running;
    // Only now: it may have been joining again.
    if (this.#lease !== undefined) {
      await this.#revoke(this.#lease.lease);
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
          await this.#pauses.wait();
          continue;
        }
      }
      await this.#keepAlive(lease);
      if (!ended()) {
        this.#lease = undefined;
        this.#options.lost();
        this.#listener.lost();
        void this.#revoke(lease.lease);
        lease = undefined;
      }
    }
  }

  async #grant(): Promise<MemberLease> {
    const { client, keys, clock, memberTtlSeconds } = this.#options;
    const sentAt = clock.now();
    const timeoutMs = this.#intervalMs;
    const { lease: id, ttlSeconds } = await client.grantLease(memberTtlSeconds, timeoutMs);
    // As etcdctl writes lease ids.
    const memberId = id.toString(16).padStart(16, "0");
    const lease = { lease: id, memberId, aliveUntilMs: sentAt + ttlSeconds * 1000 };
    const leftMs = Math.max(0, sentAt + timeoutMs - clock.now());
    let revision: bigint;
    try {
      const value = encodeMember(this.#member);
      ({ revision } = await client.put({ key: keys.member(memberId), value, lease: id }, leftMs));
      await this.#announce(memberId, Math.max(0, sentAt + timeoutMs - clock.now()));
    } catch (error) {
      // The key may be there all the same, and would lead, or keep locks, for nobody.
      void this.#revoke(id);
      throw error;
    }
    this.#lease = lease;
    this.#pauses.reset();
    this.#options.joined(memberId, revision);
    this.#listener.joined(memberId);
    this.#listener.extended(lease.aliveUntilMs);
    return lease;
  }

  /**
   * Leaves a mark that outlives the member's key, before the member writes anything. Whoever reads how far the log is would
   * otherwise not know of a member that came and went while its watch was silent.
   */
  async #announce(memberId: string, timeoutMs: number): Promise<void> {
    const { client, keys } = this.#options;
    const txn = {
      compare: [{ key: keys.member(memberId), target: "create", result: "greater", revision: 0n }],
      success: [{ kind: "put", key: keys.joined, value: Buffer.from(memberId) }],
      failure: [],
    } as const;
    const { succeeded } = await client.txn(txn, timeoutMs);
    if (!succeeded) {
      throw new Error("the key of the member was removed before it had joined");
    }
  }

  /** Resolves when the lease may have lapsed, or the membership is to end. */
  async #keepAlive(lease: MemberLease): Promise<void> {
    const { client, clock, logger } = this.#options;
    let nextMs = clock.now() + this.#intervalMs;
    let patienceMs = this.#firstPatienceMs;
    for (;;) {
      await this.#sleepUntil(Math.min(nextMs, lease.aliveUntilMs));
      const sentAt = clock.now();
      if (this.#ended.signal.aborted || sentAt >= lease.aliveUntilMs || this.#gone === lease.memberId) {
        return;
      }
      try {
        const timeoutMs = Math.min(patienceMs, lease.aliveUntilMs - sentAt);
        const ttlSeconds = await client.keepLeaseAlive(lease.lease, timeoutMs);
        if (ttlSeconds <= 0 || this.#gone === lease.memberId) {
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

  async #revoke(lease: bigint): Promise<void> {
    try {
      await this.#options.client.revokeLease(lease, revokeTimeoutMs);
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
    if (this.#ended.signal.aborted || this.#gone === this.#lease?.memberId) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = clock.after(Math.max(0, atMs - clock.now()), resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

const retryMs = 200;
const revokeTimeoutMs = 2_000;

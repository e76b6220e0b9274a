import type { Etcd3 } from "etcd3";
import type { Logger } from "pino";
import type { Clock, Timer } from "../../locks/clock.js";
import type { Member, MembershipListener } from "../ticket-log.js";
import { Backoff } from "./backoff.js";
import { encodeMember } from "./etcd-codec.js";
import type { EtcdKeys } from "./etcd-keys.js";
import { untilReached } from "./until-reached.js";

/** What a membership works with. */
export interface EtcdMembershipOptions {
  readonly client: Etcd3;
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
  readonly id: string;
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
    const deadline = Date.now() + this.#intervalMs;
    const { ID, TTL } = await client.leaseClient.leaseGrant({ TTL: memberTtlSeconds }, { deadline });
    // As etcdctl writes lease ids.
    const id = BigInt(ID).toString(16).padStart(16, "0");
    const lease = { id, aliveUntilMs: sentAt + Number(TTL) * 1000 };
    await client.kv.put({ key: keys.member(id), value: encodeMember(this.#member), lease: ID }, { deadline });
    this.#lease = lease;
    this.#backoff.reset();
    this.#listener.joined(id);
    this.#listener.extended(lease.aliveUntilMs);
    return lease;
  }

  /** Resolves when the lease may have lapsed, or the membership is to end. */
  async #keepAlive(lease: MemberLease): Promise<void> {
    const { clock, logger } = this.#options;
    let nextMs = clock.now() + this.#intervalMs;
    for (;;) {
      await this.#sleepUntil(Math.min(nextMs, lease.aliveUntilMs));
      const sentAt = clock.now();
      if (this.#ended.signal.aborted || sentAt >= lease.aliveUntilMs) {
        return;
      }
      try {
        const ttlSeconds = await this.#keepAliveOnce(lease, Math.min(this.#intervalMs, lease.aliveUntilMs - sentAt));
        if (ttlSeconds <= 0) {
          return;
        }
        lease.aliveUntilMs = sentAt + ttlSeconds * 1000;
        nextMs = sentAt + this.#intervalMs;
        this.#listener.extended(lease.aliveUntilMs);
      } catch (error) {
        logger.debug({ err: error }, "keep-alive of the member lease failed");
        nextMs = clock.now() + retryMs;
      }
    }
  }

  /** One keep-alive, on a stream of its own, so that each can go to another etcd member; answers the TTL left. */
  async #keepAliveOnce(lease: MemberLease, timeoutMs: number): Promise<number> {
    const { client, clock } = this.#options;
    const stream = await client.leaseClient.leaseKeepAlive();
    let timer: Timer | undefined;
    try {
      return await new Promise<number>((resolve, reject) => {
        timer = clock.after(timeoutMs, () => {
          reject(new Error(`etcd did not answer a keep-alive within ${Math.round(timeoutMs)} ms`));
        });
        stream.on("data", ({ TTL }) => {
          resolve(Number(TTL));
        });
        stream.on("error", reject);
        stream.on("end", () => {
          reject(new Error("etcd ended the keep-alive stream"));
        });
        stream.write({ ID: BigInt(`0x${lease.id}`).toString() });
      });
    } finally {
      timer?.cancel();
      stream.cancel();
    }
  }

  async #revoke(lease: MemberLease): Promise<void> {
    const ID = BigInt(`0x${lease.id}`).toString();
    try {
      await this.#options.client.leaseClient.leaseRevoke({ ID }, { deadline: Date.now() + revokeTimeoutMs });
    } catch (error) {
      this.#options.logger.debug({ err: error }, "could not revoke the member lease; it lapses by itself");
    }
  }

  get #intervalMs(): number {
    return (this.#options.memberTtlSeconds * 1000) / 3;
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

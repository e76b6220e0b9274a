import type { EtcdHeader } from "../../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";
import type { EventQueue } from "../event-queue.js";
import type { Random } from "../random.js";
import type { Trace } from "../trace.js";
import type { SimulatedStore } from "./simulated-store.js";

interface Lease {
  readonly id: bigint;
  readonly ttlMs: number;
  expiresAtMs: number;
}

/** How often etcd's leader looks for leases that have lapsed. */
const revokeEveryMs = 500;

/**
 * The etcd members around one store: whether they have a leader, and the leases, whose time runs on the leader's clock.
 * Without a leader, requests wait for the next leader, which gives every lease its full TTL.
 */
export class StoreCluster {
  readonly store: SimulatedStore;
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #trace: Trace;
  /** How many milliseconds the leader's clock counts in a millisecond. */
  readonly #rate: number;
  readonly #leases = new Map<bigint, Lease>();
  #waiting: (() => void)[] = [];
  #leads = true;
  /** The NOSPACE alarm is on. */
  full = false;

  constructor(store: SimulatedStore, queue: EventQueue, random: Random, trace: Trace, rate: number) {
    this.store = store;
    this.#queue = queue;
    this.#random = random;
    this.#trace = trace;
    this.#rate = rate;
    this.#lookForLapsed();
  }

  /** Runs something that needs a leader: now, or when there is a leader again, unless it is lost before. */
  whenLed(run: () => void): void {
    if (this.#leads) {
      run();
    } else {
      this.#waiting.push(run);
    }
  }

  /** Lets something happen to the store later, even if the process that caused it is gone by then. */
  schedule(delayMs: number, label: string, run: () => void): void {
    this.#queue.after(delayMs, label, run);
  }

  loseLeader(): void {
    this.#leads = false;
  }

  electLeader(): void {
    if (this.#leads) {
      return;
    }
    this.#leads = true;
    for (const lease of this.#leases.values()) {
      lease.expiresAtMs = this.#now() + lease.ttlMs;
    }
    for (const run of this.#waiting.splice(0)) {
      if (this.#random.chance(0.6)) {
        this.#queue.after(this.#random.between(0, 20), "etcd: a request that waited for a leader", run);
      }
    }
  }

  grantLease(ttlSeconds: number): bigint {
    const id = BigInt(this.#random.int(2 ** 30) + 2 ** 30) * 2n ** 32n + BigInt(this.#random.int(2 ** 32));
    const ttlMs = ttlSeconds * 1000;
    this.#leases.set(id, { id, ttlMs, expiresAtMs: this.#now() + ttlMs });
    return id;
  }

  /** Returns the TTL that the lease has now, in seconds; 0 when the lease is gone. */
  keepLeaseAlive(id: bigint): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      return 0;
    }
    lease.expiresAtMs = this.#now() + lease.ttlMs;
    return lease.ttlMs / 1000;
  }

  /** @throws Error when the lease is gone */
  putLeased(key: Buffer, value: Buffer, lease: bigint): EtcdHeader {
    if (!this.#leases.has(lease)) {
      throw new Error("5 NOT_FOUND: etcdserver: requested lease not found");
    }
    return this.store.put(key, value, lease);
  }

  revokeLease(id: bigint): void {
    if (this.#leases.delete(id)) {
      this.store.deleteLeased(id);
    }
  }

  #lookForLapsed(): void {
    this.#queue.after(revokeEveryMs / this.#rate, "etcd: looks for lapsed leases", () => {
      for (const lease of this.#leases.values()) {
        if (this.#leads && this.#now() >= lease.expiresAtMs) {
          this.#trace.add(`etcd: lease ${lease.id.toString(16)} has lapsed`);
          this.revokeLease(lease.id);
        }
      }
      this.#lookForLapsed();
    });
  }

  #now(): number {
    return this.#queue.nowMs * this.#rate;
  }
}

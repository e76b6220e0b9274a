import type { LockDriver } from "./lock-driver.js";

/** What some scenarios need and some backends do not have. */
export type Feature =
  /** The requester can choose the ticket id. */
  | "ticket-ids"
  | "try-lock"
  /** A refused try-lock says who holds and how many wait. */
  | "refusal-state"
  /** A wait can be bounded by the request. */
  | "wait-time-out"
  /** A lock can be shared, and held as a part of a semaphore. */
  | "sharing"
  | "renewal"
  /** Whoever has a key can ask to renew it. */
  | "renewal-by-key"
  /** Fencing tokens are told. */
  | "tokens"
  /** An unlock says whether it released. */
  | "unlock-outcome"
  /** Holds outlive the node. */
  | "durable"
  /** The store is etcd, and can be looked into. */
  | "etcd";

/** A way to use locks, on which the scenarios run. */
export interface LockBackend {
  open(): Promise<LockDriver>;
  /** The features that it does not have, each with the reason. Scenarios that need one of them do not run. */
  readonly without?: Readonly<Partial<Record<Feature, string>>>;
  /** TTLs are multiples of this, in milliseconds, because shorter ones cannot be had or kept; 1 when absent. */
  readonly ttlStepMs?: number;
}

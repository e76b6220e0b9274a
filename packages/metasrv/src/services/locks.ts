import type { LockStore } from "../locks/lock-store.js";

/** What the services need of the lock store. */
export type Locks = Pick<LockStore, "claim" | "unlock" | "renew" | "resume">;

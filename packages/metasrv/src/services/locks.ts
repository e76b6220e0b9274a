import type { ClusterView } from "../locks/cluster-view.js";
import type { LockStore } from "../locks/lock-store.js";

/** What the services need of the lock store. */
export type Locks = Pick<LockStore, "claim" | "unlock" | "renew" | "resume">;

/** What the services need of the view of the cluster. */
export type Cluster = Pick<ClusterView, "members" | "watch">;

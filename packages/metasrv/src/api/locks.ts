import type { ClusterView } from "../node/cluster-view.js";
import type { Inspection } from "../node/inspection.js";
import type { LockNode } from "../node/lock-node.js";

/** What the services use of the node. */
export type Locks = Pick<LockNode, "claim" | "unlock" | "renew" | "resume">;

/** What the services show of the table. */
export type Inspected = Pick<Inspection, "get" | "list">;

/** What the services use of the node's view of the cluster. */
export type Cluster = Pick<ClusterView, "members" | "watch">;

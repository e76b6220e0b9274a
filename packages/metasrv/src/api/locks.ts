import type { ClusterView } from "../node/cluster-view.js";
import type { Inspection } from "../node/inspection.js";
import type { LockNode } from "../node/lock-node.js";
import type { TableWatch } from "../node/table-watch.js";

/** What the services use of the node. */
export type Locks = Pick<LockNode, "claim" | "unlock" | "renew" | "resume">;

/** What operators see of the locks, and do with them. */
export interface Operated {
  readonly inspection: Pick<Inspection, "get" | "list" | "blocked" | "forced">;
  readonly watch: Pick<TableWatch, "one" | "many">;
  readonly force: LockNode["force"];
}

/** What the services use of the node's view of the cluster. */
export type Cluster = Pick<ClusterView, "members" | "watch">;

import type { ServiceImpl } from "@connectrpc/connect";
import { type ClusterMember, type ClusterService, MemberRole } from "@metasrv/proto/metasrv/v1";
import { latest } from "./latest.js";
import type { Cluster } from "./locks.js";

/** `metasrv.v1.ClusterService`: tells the members as this node sees them. */
export function createClusterService(cluster: Cluster) {
  return {
    listMembers: () => ({ members: memberMessages(cluster) }),

    watchMembers: (_request, { signal }) =>
      latest(
        {
          read: () => ({ members: memberMessages(cluster) }),
          watch: (changed) => cluster.watch(changed),
        },
        signal,
      ),
  } satisfies ServiceImpl<typeof ClusterService>;
}

function memberMessages(cluster: Cluster): ClusterMember[] {
  return cluster.members().map(({ id, member }, index) => ({
    $typeName: "metasrv.v1.ClusterMember",
    id,
    address: member.address,
    version: member.version,
    role: index === 0 ? MemberRole.LEADER : MemberRole.FOLLOWER,
    startedUnixMs: BigInt(member.startedUnixMs),
  }));
}

import { type ClusterMember, MemberRole } from "@metasrv/proto/metasrv/v1";

/** A server of the cluster. */
export interface Member {
  /** Unique for each time that a server joins. */
  readonly id: string;
  /** Where clients reach it, as host:port. */
  readonly address: string;
  /** Version of the metasrv package. */
  readonly version: string;
  /** The leader also takes over the locks that a member leaves when it is gone. It serves locks as the others do. */
  readonly role: "leader" | "follower";
  /** When it started, by its own clock. */
  readonly startedAt: Date;
}

/** Reads what a server says of a member. */
export function readMember({ id, address, version, role, startedUnixMs }: ClusterMember): Member {
  return {
    id,
    address,
    version,
    role: role === MemberRole.LEADER ? "leader" : "follower",
    startedAt: new Date(Number(startedUnixMs)),
  };
}

/** The package `metasrv.v1`, whose services have a file each. */
export * from "./gen/metasrv/v1/admin_pb.js";
export * from "./gen/metasrv/v1/cluster_pb.js";
export * from "./gen/metasrv/v1/inspect_pb.js";
export * from "./gen/metasrv/v1/lock_pb.js";

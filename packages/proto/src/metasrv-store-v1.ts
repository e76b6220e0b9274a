/** The package `metasrv.store.v1`: what servers write into etcd. */
export * from "./gen/metasrv/store/v1/log_pb.js";
export * from "./gen/metasrv/store/v1/store_pb.js";

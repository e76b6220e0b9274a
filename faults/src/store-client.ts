import { noop } from "cockatiel";
import { Etcd3 } from "etcd3";

/** A client of the store that tries again at once, and finds a member that was away soon after it is back. */
export function createStoreClient(endpoints: readonly string[]): Etcd3 {
  return new Etcd3({
    hosts: [...endpoints],
    // The default breaker would stay away from a store that is well again.
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.use_local_subchannel_pool": 1,
    },
  });
}

import { noop } from "cockatiel";
import { Etcd3 } from "etcd3";

/** A client of etcd that tries again at once, so that it finds a member soon after the member is back. */
export function createStoreClient(endpoints: readonly string[]): Etcd3 {
  return new Etcd3({
    hosts: [...endpoints],
    // The default breaker would stay away from an etcd that is well again.
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.use_local_subchannel_pool": 1,
    },
  });
}

import { openEtcdPut } from "../floors/etcd-put.js";
import { openStreamNoop } from "../floors/stream-noop.js";
import { openRawGrpc } from "../wire/raw-grpc.js";
import { openEtcd3Lock } from "./etcd3-lock.js";
import type { ClientSpec, LockClient } from "./lock-client.js";
import { openMetasrv } from "./metasrv.js";
import { openRedisSemaphore } from "./redis-semaphore.js";
import { openRedlock } from "./redlock.js";
import { openV3Lock } from "./v3lock.js";

/** Opens the client that the specification names. */
export async function openClient(spec: ClientSpec): Promise<LockClient> {
  switch (spec.kind) {
    case "metasrv":
      return openMetasrv(spec.urls);
    case "v3lock":
      return openV3Lock(spec.address);
    case "etcd3-lock":
      return openEtcd3Lock(spec.address);
    case "redlock":
      return await openRedlock(spec.address);
    case "redis-semaphore":
      return await openRedisSemaphore(spec.address);
    case "etcd-put":
      return openEtcdPut(spec.address, spec.puts);
    case "stream-noop":
      return openStreamNoop(spec.url);
    case "raw-grpc":
      return await openRawGrpc(spec.address);
  }
}

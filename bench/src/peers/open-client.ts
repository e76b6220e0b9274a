import { openEtcdPut } from "../floors/etcd-put.js";
import { openStreamNoop } from "../floors/stream-noop.js";
import type { Occupancy } from "../measure/occupancy.js";
import { openRawGrpc } from "../wire/raw-grpc.js";
import type { TakerClient } from "./ask.js";
import { openAsking } from "./asking-client.js";
import { openEtcd3Lock } from "./etcd3-lock.js";
import { openEtcd3Recipe } from "./etcd3-recipe.js";
import type { ClientSpec, LockClient, TakerSpec } from "./lock-client.js";
import { openMetasrv } from "./metasrv.js";
import { openMetasrvTaker } from "./metasrv-taker.js";
import { openRedisSemaphore } from "./redis-semaphore.js";
import { openRedisSemaphoreTaker } from "./redis-semaphore-taker.js";
import { openRedlock } from "./redlock.js";
import { openV3Lock } from "./v3lock.js";

/**
 * Opens the client that the specification names.
 *
 * @param occupancy - of all clients of this process
 */
export async function openClient(spec: ClientSpec, occupancy: Occupancy): Promise<LockClient> {
  switch (spec.kind) {
    case "metasrv":
      return openMetasrv(spec.urls, spec.ca);
    case "v3lock":
      return openV3Lock(spec.address);
    case "etcd3-lock":
      return openEtcd3Lock(spec.address);
    case "redlock":
      return await openRedlock(spec.address);
    case "redis-semaphore":
      return await openRedisSemaphore(spec.address);
    case "metasrv-singly":
    case "etcd3-recipe":
      return openAsking(await openTaker(spec), "plain", occupancy);
    case "asking":
      return openAsking(await openTaker(spec.by), spec.demand, occupancy);
    case "etcd-put":
      return openEtcdPut(spec.address, spec.puts);
    case "stream-noop":
      return openStreamNoop(spec.url);
    case "raw-grpc":
      return await openRawGrpc(spec.address);
  }
}

async function openTaker(spec: TakerSpec): Promise<TakerClient> {
  switch (spec.kind) {
    case "metasrv":
      return openMetasrvTaker(spec.urls, "at-once");
    case "metasrv-singly":
      return openMetasrvTaker(spec.urls, "singly");
    case "redis-semaphore":
      return openRedisSemaphoreTaker(spec.address);
    case "etcd3-recipe":
      return openEtcd3Recipe(spec.address);
  }
}

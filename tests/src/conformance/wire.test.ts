import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { openLockService } from "./drivers/lock-service-driver.js";
import { openMetaClient } from "./drivers/meta-client-driver.js";
import type { LockBackend } from "./lock-backend.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

const client = {
  "ticket-ids": "the client chooses them itself",
  "refusal-state": "the client answers null",
  "renewal-by-key": "the client renews by the handle of a lock that it holds",
} satisfies LockBackend["without"];

const memory = {
  durable: "memory is gone with the process",
  etcd: "there is no etcd below it",
} satisfies LockBackend["without"];

describeLockConformance("client with a session by Connect, on etcd", {
  open: () => openMetaClient({ protocol: "connect", session: true }, { endpoint: etcd.endpoint }),
  without: client,
});

describeLockConformance("client with a session by gRPC, on etcd with another prefix", {
  open: () => openMetaClient({ protocol: "grpc" }, { endpoint: etcd.endpoint, prefix: "/teams/a.b/locking" }),
  without: client,
});

describeLockConformance("client with one RPC a call by Connect, in memory", {
  open: () => openMetaClient({ protocol: "connect", session: false }, "memory"),
  without: { ...client, ...memory },
});

describeLockConformance("LockService by gRPC, in memory", {
  open: () => openLockService("grpc", "memory"),
  without: memory,
});

describeLockConformance("LockService by JSON over HTTP/1.1, on etcd", {
  open: () => openLockService("json", { endpoint: etcd.endpoint, prefix: "json" }),
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { Http1Proxy } from "../http1-proxy.js";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { clientIsWithout, clientTtlStepMs } from "./drivers/client-locks.js";
import { openLockService } from "./drivers/lock-service-driver.js";
import { openMetaClient } from "./drivers/meta-client-driver.js";
import type { LockBackend } from "./lock-backend.js";

let etcd: Etcd;
let proxy: Http1Proxy;

beforeAll(async () => {
  etcd = await startEtcd();
  proxy = await Http1Proxy.start();
});

const memory = {
  durable: "memory is gone with the process",
  etcd: "there is no etcd below it",
} satisfies LockBackend["without"];

describeLockConformance("client with a session by Connect, on etcd", {
  open: () => openMetaClient({ protocol: "connect" }, { endpoint: etcd.endpoint }),
  ttlStepMs: clientTtlStepMs,
  without: clientIsWithout,
});

describeLockConformance("client with a session by gRPC, on etcd with another prefix", {
  open: () => openMetaClient({ protocol: "grpc" }, { endpoint: etcd.endpoint, prefix: "/teams/a.b/locking" }),
  ttlStepMs: clientTtlStepMs,
  without: clientIsWithout,
});

describeLockConformance("client through a proxy of HTTP/1.1, in memory", {
  open: () => openMetaClient({ protocol: "connect" }, "memory", (url) => ({ url: proxy.to(url) })),
  ttlStepMs: clientTtlStepMs,
  without: { ...clientIsWithout, ...memory },
});

describeLockConformance("client by gRPC through a proxy of HTTP/1.1, on etcd", {
  open: () =>
    openMetaClient({ protocol: "grpc" }, { endpoint: etcd.endpoint, prefix: "attached" }, (url) => ({
      url: proxy.to(url),
    })),
  ttlStepMs: clientTtlStepMs,
  without: clientIsWithout,
});

describeLockConformance("LockService by gRPC, in memory", {
  open: () => openLockService("grpc", "memory"),
  without: memory,
});

describeLockConformance("LockService by JSON over HTTP/1.1, on etcd", {
  open: () => openLockService("json", { endpoint: etcd.endpoint, prefix: "json" }),
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

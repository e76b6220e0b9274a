import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { openEtcdLockNode, openMemoryLockNode } from "./drivers/lock-node-driver.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

describeLockConformance("lock node, in memory", {
  open: openMemoryLockNode,
  without: {
    durable: "memory is gone with the process",
    etcd: "there is no etcd below it",
  },
});

describeLockConformance("lock node, on etcd with the default prefix", {
  open: () => openEtcdLockNode(etcd.endpoint, "metasrv"),
});

describeLockConformance("lock node, on etcd with another prefix", {
  open: () => openEtcdLockNode(etcd.endpoint, "/teams/a.b/locking"),
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

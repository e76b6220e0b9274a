import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { openEtcdLockStore, openMemoryLockStore } from "./drivers/lock-store-driver.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

describeLockConformance("lock store, in memory", {
  open: openMemoryLockStore,
  without: {
    durable: "memory is gone with the process",
    etcd: "there is no etcd below it",
  },
});

describeLockConformance("lock store, on etcd with the default prefix", {
  open: () => openEtcdLockStore(etcd.endpoint, "metasrv"),
});

describeLockConformance("lock store, on etcd with another prefix", {
  open: () => openEtcdLockStore(etcd.endpoint, "/teams/a.b/locking"),
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

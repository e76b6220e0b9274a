import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { openGreptimeLock } from "./drivers/greptime-driver.js";
import type { LockBackend } from "./lock-backend.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

const ttlStepMs = 1_000;

const without = {
  "ticket-ids": "its requests have none",
  "try-lock": "it always waits",
  "refusal-state": "it always waits",
  "wait-time-out": "the deadline of the call is its only bound",
  sharing: "its locks are exclusive",
  renewal: "it never renews",
  "renewal-by-key": "it never renews",
  tokens: "its answers have none",
  "unlock-outcome": "it answers OK whether the lock was held or not",
} satisfies LockBackend["without"];

describeLockConformance("original contract by Connect, in memory", {
  open: () => openGreptimeLock("connect", "memory"),
  ttlStepMs,
  without: {
    ...without,
    durable: "memory is gone with the process",
    etcd: "there is no etcd below it",
  },
});

describeLockConformance("original contract by gRPC, on etcd", {
  open: () => openGreptimeLock("grpc", { endpoint: etcd.endpoint }),
  ttlStepMs,
  without,
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

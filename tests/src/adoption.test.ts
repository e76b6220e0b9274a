import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Grant, LockNode } from "@metasrv/metasrv";
import { type Etcd, leakCheck, startEtcd, startTcpProxy, until } from "@metasrv/testing";
import { ticketsIn } from "./in-store.js";
import { type NodeInProcess, startNodeInProcess } from "./node-in-process.js";

// A held lock that goes from node to node, by renewals and takeovers, must not look lost to any node, however late each
// of them learns of it.

const name = Buffer.from("a");
const ttlMs = 60_000;

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

test("a held lock that is renewed at another node stays held, and can be renewed and unlocked at either", async () => {
  await using first = await startNode("renewed");
  await using second = await startNode("renewed");
  const grant = await lock(first.locks);
  for (const { locks } of [second, second, first, second]) {
    expect(await locks.renew(grant.key)).toBe(ttlMs);
  }
  expect(await ticketsIn(etcd.endpoint, "renewed")).toHaveLength(1);
  await first.locks.unlock(grant.key);
});

test("a held lock whose node is gone is served by the one that takes it over", async () => {
  let grant: Grant;
  {
    await using first = await startNode("orphaned");
    grant = await lock(first.locks);
  }
  await using second = await startNode("orphaned");
  await until(() => second.locks.size === 1, { what: "the takeover" });
  expect(await second.locks.renew(grant.key)).toBe(ttlMs);
  expect(await ticketsIn(etcd.endpoint, "orphaned")).toHaveLength(1);
  await second.locks.unlock(grant.key);
});

test("a held lock that has gone to another node can be renewed where it was, before that node has heard of it", async () => {
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  await using first = await startNodeInProcess({ host: proxy.address, prefix: "returned" });
  await using second = await startNode("returned");
  const grant = await lock(first.locks);
  const [before] = await ticketsIn(etcd.endpoint, "returned");
  proxy.pause("toClient");
  await second.locks.renew(grant.key);
  const renewed = first.locks.renew(grant.key);
  await until(async () => (await ticketsIn(etcd.endpoint, "returned"))[0]?.memberId === before?.memberId, {
    what: "etcd to have the second renewal",
  });
  proxy.resume("toClient");
  expect(await renewed).toBe(ttlMs);
  expect(await ticketsIn(etcd.endpoint, "returned")).toHaveLength(1);
  await first.locks.unlock(grant.key);
});

function startNode(prefix: string): Promise<NodeInProcess> {
  return startNodeInProcess({ host: etcd.endpoint, prefix });
}

function lock(locks: LockNode): Promise<Grant> {
  return new Promise((granted, failed) => {
    locks.claim({ name, ttlMs }, { granted, failed, refused: () => undefined, lost: () => undefined });
  });
}

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

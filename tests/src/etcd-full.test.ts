import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { noop } from "cockatiel";
import { Etcd3 } from "etcd3";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

test("an etcd out of space: nothing is granted, released or renewed, which is said, and all goes on once there is space", async () => {
  await using etcd = await startEtcd({ extraArgs: [`--quota-backend-bytes=${4 * 1024 * 1024}`] });
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  // etcd3's default breaker would stay away from etcd after the refusals that this test wants.
  const store = new Etcd3({ hosts: etcd.endpoint, faultHandling: { host: () => noop, global: noop } });

  const held = await locks.lock("held", { ttlMs: 60_000 });
  const renewed = await locks.lock("renewed", { ttlMs: 60_000 });
  const waiter = await locks.queueUp("held");
  await fill(store);

  const full = {
    code: "ResourceExhausted",
    reason: "STORE_FULL",
    message: expect.stringContaining("NOSPACE") as unknown,
  };
  expect(await rpcFailure(locks.lock("new"))).toMatchObject(full);
  expect(await rpcFailure(locks.tryLock("new"))).toMatchObject(full);
  expect(await rpcFailure(locks.renew(renewed))).toMatchObject(full);
  expect(await rpcFailure(locks.unlock(held))).toMatchObject(full);
  // A request that needs no write is answered.
  expect(await locks.tryLock("held")).toMatchObject({ holderToken: held.token, waiters: 1 });

  await makeRoom(store);
  await locks.renew(renewed);
  await locks.unlock(held);
  await locks.unlock(await waiter.granted);
  await locks.unlock(renewed);
  await locks.unlock(await locks.lock("new"));
  store.close();
});

test("a lock whose TTL passes while etcd is out of space is free once there is space", async () => {
  await using etcd = await startEtcd({ extraArgs: [`--quota-backend-bytes=${4 * 1024 * 1024}`] });
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  const store = new Etcd3({ hosts: etcd.endpoint, faultHandling: { host: () => noop, global: noop } });
  const grant = await locks.lock("expiring", { ttlMs: 1_000 });
  await fill(store);
  await node.waitForLog(({ msg }) => msg === "lock expired");
  expect(await locks.tryLock("expiring")).toMatchObject({ holderToken: grant.token });
  await makeRoom(store);
  await until(async () => (await locks.state("expiring")) === undefined, { what: "the lock to be free" });
  store.close();
});

/** Writes until etcd raises its alarm. */
async function fill(store: Etcd3): Promise<void> {
  const value = Buffer.alloc(256 * 1024);
  try {
    for (let index = 0; index < 100; index++) {
      await store.put(`filling/${index}`).value(value);
    }
  } catch (error) {
    if (error instanceof Error && error.message.includes("space exceeded")) {
      return;
    }
    throw error;
  }
  throw new Error("etcd took more than its quota");
}

async function makeRoom(store: Etcd3): Promise<void> {
  const { header } = await store.delete().prefix("filling/");
  await store.kv.compact({ revision: header.revision, physical: true });
  await store.maintenance.defragment();
  const { alarms } = await store.maintenance.alarm({ action: "Get" });
  for (const { memberID, alarm } of alarms) {
    await store.maintenance.alarm({ action: "Deactivate", memberID, alarm });
  }
}

afterAll(leakCheck());

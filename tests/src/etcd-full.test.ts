import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { noop } from "cockatiel";
import { Etcd3 } from "etcd3";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

test("an etcd out of space: requests are refused naming the alarm, unlocks work, and all is well once there is space", async () => {
  await using etcd = await startEtcd({ extraArgs: [`--quota-backend-bytes=${4 * 1024 * 1024}`] });
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  // Its default breaker would stay away from etcd after the refusals that are wanted here.
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
  await locks.unlock(held);
  const next = await waiter.granted;
  await locks.unlock(next);
  await locks.unlock(renewed);

  await makeRoom(store);
  await locks.unlock(await locks.lock("new"));
  store.close();
});

/** Writes until etcd raises its alarm. */
async function fill(store: Etcd3): Promise<void> {
  const value = Buffer.alloc(256 * 1024);
  try {
    for (let index = 0; index < 100; index++) await store.put(`filling/${index}`).value(value);
  } catch (error) {
    if (error instanceof Error && error.message.includes("space exceeded")) return;
    throw error;
  }
  throw new Error("etcd took more than its quota");
}

async function makeRoom(store: Etcd3): Promise<void> {
  const { header } = await store.delete().prefix("filling/");
  await store.kv.compact({ revision: header.revision, physical: true });
  await store.maintenance.defragment();
  const { alarms } = await store.maintenance.alarm({ action: "Get" });
  for (const { memberID, alarm } of alarms) await store.maintenance.alarm({ action: "Deactivate", memberID, alarm });
}

afterAll(leakCheck());

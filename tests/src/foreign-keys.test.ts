import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { PlainLocks } from "./plain-locks.js";

test("a key that others put among a lock's tickets refuses try-locks, and is warned of by name until it is deleted", async () => {
  await using etcd = await startEtcd();
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  const store = new Etcd3({ hosts: etcd.endpoint });
  const key = "metasrv/locks/a/by-hand";

  await store.put(key).value("x");
  const warning = { key, lock: "a" };
  expect(await node.waitForLog((line) => line.key === key)).toMatchObject(warning);
  expect(await locks.tryLock("a")).toMatchObject({ holderToken: 0n, holderOwner: "", waiters: 0 });
  await locks.unlock(await locks.lock("a"));
  // A server that comes later finds it in its first listing.
  {
    await using later = await startMetasrv({ store: etcd.endpoint });
    expect(await later.waitForLog((line) => line.key === key)).toMatchObject(warning);
  }
  await store.delete().key(key);
  expect(await locks.tryLock("a")).toMatchObject({ $typeName: "metasrv.v1.Grant" });
  store.close();
});

afterAll(leakCheck());

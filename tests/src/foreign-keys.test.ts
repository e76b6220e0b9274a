import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { LockLoad } from "./lock-load.js";
import { PlainLocks } from "./plain-locks.js";

const garbage = Buffer.of(0xff, 0xff, 0xff);

const keys = [
  "metasrv/@/",
  "metasrv/@/foreign",
  "metasrv/@/log/foreign",
  "metasrv/@/log/0f/1",
  `metasrv/@/log/0f/${"0".repeat(15)}1`,
  "metasrv/@/members/foreign",
  "metasrv/@/members/0f",
];

test("what others put under the prefix is warned of once a server, by name, and neither blocks nor changes anything", async () => {
  await using etcd = await startEtcd();
  const store = new Etcd3({ hosts: etcd.endpoint });
  const lease = store.lease(60);
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  const held = await locks.lock("held", { ttlMs: 60_000 });

  for (const key of keys) {
    await store.put(key).value(garbage);
  }
  await lease.put("metasrv/@/members/0e").value(garbage);
  // One of the keys has the id of a member that exists.
  const [member = ""] = (await store.getAll().prefix("metasrv/@/members/").keys()).filter((key) => key.length > 30);
  const entry = `metasrv/@/log/${member.slice(member.lastIndexOf("/") + 1)}/${"9".repeat(16)}`;
  await store.put(entry).value(garbage);
  const all = [...keys, "metasrv/@/members/0e", entry].sort();
  for (const key of all) {
    await node.waitForLog((line) => line.key === key);
  }
  for (const key of keys) {
    await store.put(key).value(garbage);
  }

  // A server that starts later finds the keys among the entries and the members in its first listing.
  await using later = await startMetasrv({ store: etcd.endpoint });
  const listed = all.filter((key) => /\/(?:log|members)\//.test(key));
  for (const key of listed) {
    await later.waitForLog((line) => line.key === key);
  }
  {
    await using load = new LockLoad({ endpoints: [[node.url], [later.url]], workers: 8, locks: ["a", "b"] });
    await load.proceeds(100);
    expect(await load.stop()).toEqual([]);
  }
  expect(await locks.state("held")).toMatchObject({ holderToken: held.token });
  await locks.unlock(held);
  expect([warnedOf(node), warnedOf(later)]).toEqual([all, listed]);
  for (const key of keys) {
    expect(await store.get(key).buffer()).toEqual(garbage);
  }
  await lease.revoke();
  store.close();
});

function warnedOf({ logs }: Metasrv): string[] {
  return logs.flatMap(({ level, key }) => (level === 40 && typeof key === "string" ? [key] : [])).sort();
}

afterAll(leakCheck());

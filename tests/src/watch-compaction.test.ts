import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv, startTcpProxy, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { ticketsIn } from "./in-store.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

test("a node whose watch was compacted away lists again: no grant missed, none doubled", async () => {
  await using etcd = await startEtcd();
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  await using node = await startMetasrv({ store: proxy.address, args: ["--log-level", "debug"] });
  await using other = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  using elsewhere = new PlainLocks(other.url);
  const store = new Etcd3({ hosts: etcd.endpoint });

  const kept = await locks.lock("kept", { ttlMs: 60_000 });
  const lost = await locks.lock("lost", { ttlMs: 60_000 });
  const waitedFor = await elsewhere.lock("waited for", { ttlMs: 60_000 });
  const waiter = await locks.queueUp("waited for");
  await elsewhere.waitersAre("waited for", 1);

  // The node does not hear of what happens now.
  proxy.pause("toClient");
  await elsewhere.unlock(waitedFor);
  await elsewhere.unlock(lost);
  const taken = await elsewhere.lock("lost", { owner: "meanwhile", ttlMs: 60_000 });
  for (let round = 0; round < 20; round++) {
    await elsewhere.unlock(await elsewhere.lock("passing"));
  }
  const { header } = await store.kv.range({ key: Buffer.from("x") });
  await store.kv.compact({ revision: header.revision, physical: true });
  proxy.cut();
  proxy.resume("toClient");

  const grant = await waiter.granted;
  await node.waitForLog(({ msg }) => msg === "listed the store again");
  expect(await locks.state("kept")).toMatchObject({ holderToken: kept.token });
  await until(async () => (await locks.state("lost"))?.holderToken === taken.token, { what: "the node to see it" });
  expect(await locks.tryLock("lost")).toMatchObject({ holderOwner: "meanwhile", holderToken: taken.token });
  expect(await rpcFailure(locks.renew(lost))).toMatchObject({ reason: "NOT_HELD" });
  for (const held of [kept, grant, taken]) {
    await locks.unlock(held);
  }

  // The node goes on: it sees events after the listing as before.
  {
    await using load = new LockLoad({
      endpoints: [[node.url], [other.url]],
      workers: 8,
      locks: ["waited for", "lost"],
    });
    await load.proceeds(100);
    expect(await load.stop()).toEqual([]);
  }
  await until(async () => (await ticketsIn(etcd.endpoint)).length === 0, { what: "all tickets to be gone" });
  store.close();
});

afterAll(leakCheck());

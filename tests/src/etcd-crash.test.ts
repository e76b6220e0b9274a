import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { ticketsIn } from "./in-store.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks } from "./plain-locks.js";

test("an etcd that is killed in the middle of load and comes back: nothing doubled, nothing lost, nothing left", async () => {
  await using etcd = await startEtcd();
  await using first = await startMetasrv({ store: etcd.endpoint });
  await using second = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(first.url);
  const held = await locks.lock("held throughout", { ttlMs: 120_000 });
  {
    await using load = new LockLoad({
      endpoints: [[first.url], [second.url]],
      workers: 40,
      locks: ["a", "b", "c", "d"],
    });
    for (let crash = 0; crash < 2; crash++) {
      await load.proceeds(100);
      await etcd.kill();
      await etcd.restart();
      await load.proceeds(100);
    }
    expect(await load.stop()).toEqual([]);
  }
  await locks.renew(held);
  await locks.unlock(held);
  await until(async () => (await ticketsIn(etcd.endpoint)).length === 0, {
    what: "all tickets to be gone",
  });
}, 60_000);

afterAll(leakCheck());

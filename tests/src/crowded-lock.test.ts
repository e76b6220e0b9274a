import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { PlainLocks } from "./plain-locks.js";

const requests = 5_000;

test("a try-lock is answered while 5,000 requests for the same lock come in", async () => {
  await using etcd = await startEtcd();
  await using node = await startMetasrv({ store: etcd.endpoint });
  await using other = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  using elsewhere = new PlainLocks(other.url);
  const held = await locks.lock("crowded", { ttlMs: 120_000 });

  const gone = new AbortController();
  await using client = new MetaClient({ endpoints: [node.url], firstEndpoint: "listed" });
  await client.tryLock("warm").then((lock) => lock?.release());
  const asked = Array.from({ length: requests }, () => client.lock("crowded", { signal: gone.signal }));
  const settled = Promise.allSettled(asked);
  const took: number[] = [];
  let waiters = 0;
  while (waiters < requests) {
    for (const from of [locks, elsewhere]) {
      const startedAt = performance.now();
      const state = await from.tryLock("crowded");
      took.push(performance.now() - startedAt);
      expect(state).toMatchObject({ holderToken: held.token });
      waiters = "waiters" in state ? state.waiters : 0;
    }
  }
  // A second on a machine with nothing else to do.
  expect(Math.max(...took)).toBeLessThan(10_000);

  gone.abort(new Error("not needed any more"));
  expect((await settled).every(({ status }) => status === "rejected")).toBe(true);
  await until(async () => (await locks.state("crowded"))?.waiters === 0, { what: "nobody to wait" });
  await locks.unlock(held);
}, 60_000);

afterAll(leakCheck());

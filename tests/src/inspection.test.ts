import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
  }
  return found;
}

test("any server shows the locks of all, page by page, and what a token has seen", async () => {
  await using etcd = await startEtcd();
  await using first = await startMetasrv({ store: etcd.endpoint });
  await using second = await startMetasrv({ store: etcd.endpoint });
  await using here = new MetaClient({ endpoints: [first.url], discover: false, owner: "here" });
  await using there = new MetaClient({ endpoints: [second.url], discover: false });

  const held = await here.lock("orders/7", { ttlMs: 60_000 });
  // Read your writes, at another server.
  const shown = await there.locks.get("orders/7", { minToken: held.token });
  expect(shown).toMatchObject({ mode: "exclusive", holderCount: 1, waiters: 0, holders: [{ owner: "here" }] });
  expect(shown.tickets).toMatchObject([{ token: held.token, holds: true, expiresInMs: undefined }]);
  const own = await here.locks.get("orders/7");
  expect(own.tickets[0]?.expiresInMs).toBeGreaterThan(50_000);
  expect(own.tickets[0]?.memberId).toBe(shown.tickets[0]?.memberId);

  const waiting = there.lock("orders/7", { owner: "there" });
  const readers = [
    await here.lock("reports", { mode: "shared" }),
    await there.lock("reports", { mode: "shared" }),
    await there.semaphore("permits", { limit: 5 }).acquire({ permits: 2 }),
  ];
  const minToken = readers.reduce((highest, { token }) => (token > highest ? token : highest), 0n);
  const list = await all(here.locks.list({ minToken }));
  expect(list).toMatchObject([
    { name: "orders/7", mode: "exclusive", holderCount: 1, waiters: 1 },
    { name: "permits", mode: "semaphore", holderCount: 1, permitsHeld: 2, limit: 5 },
    { name: "reports", mode: "shared", holderCount: 2, waiters: 0, limit: Infinity },
  ]);
  expect((await all(there.locks.list({ prefix: "re" }))).map(({ name }) => name)).toEqual(["reports"]);
  expect((await all(here.locks.list({ waitingOnly: true }))).map(({ name }) => name)).toEqual(["orders/7"]);

  // A wait that is over says who holds.
  await expect(here.lock("orders/7", { waitMs: 100 })).rejects.toMatchObject({
    code: "WAIT_TIMEOUT",
    holders: [{ owner: "here", token: held.token }],
    holderCount: 1,
    position: 2,
  });
  await held.release();
  await (await waiting).release();
  for (const reader of readers) {
    await reader.release();
  }
  expect(await all(here.locks.list({ minToken: 2n ** 63n - 1n }))).toEqual([]);
});

test("a server that begins anew shows times as the least that they can be", async () => {
  await using etcd = await startEtcd();
  const before = await startMetasrv({ store: etcd.endpoint });
  const client = new MetaClient({ endpoints: [before.url], discover: false });
  await client.lock({ name: "kept", expireSecs: 60 });
  expect((await client.locks.get("kept")).tickets[0]?.timesAreMinimum).toBe(false);
  await client.close();
  await before.stop();
  await using after = await startMetasrv({ store: etcd.endpoint });
  await using later = new MetaClient({ endpoints: [after.url], discover: false });
  expect((await later.locks.get("kept")).tickets).toMatchObject([{ holds: true, timesAreMinimum: true }]);
});

afterAll(leakCheck());

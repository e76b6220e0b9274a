import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { PlainLocks } from "./plain-locks.js";
import { runMetasrv } from "./started-in-vain.js";

test("metasrv dump prints what is held and what waits as JSON lines without ids, while servers run and when none runs", async () => {
  await using etcd = await startEtcd();
  const dump = async (...args: string[]) => {
    const { code, lines, said } = await runMetasrv("dump", "--store-addrs", etcd.endpoint, ...args);
    expect([code, code === 0 ? "" : said]).toEqual([0, ""]);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  // For an etcd without a log, a dump prints nothing and writes nothing.
  expect(await dump()).toEqual([]);

  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  const ticketId = Buffer.alloc(16, 0xab);
  const held = await locks.lock("orders/7 %", { owner: "orders-7:4312", ttlMs: 60_000 });
  const waiter = await locks.queueUp("orders/7 %", { owner: "next", ttlMs: 30_000, ticketId });
  const expected = [
    { name: "orders/7 %25", token: held.token.toString(), owner: "orders-7:4312", ttlMs: "60000", holds: true },
    { name: "orders/7 %25", owner: "next", ttlMs: "30000", resumable: true },
  ].map((ticket) => expect.objectContaining(ticket) as unknown);
  const running = await dump();
  expect(running).toEqual(expected);
  expect(running[1]?.holds).toBeUndefined();
  const text = JSON.stringify(running);
  for (const encoding of ["hex", "base64", "latin1"] as const) {
    expect(text).not.toContain(ticketId.toString(encoding));
  }

  waiter.granted.catch(() => undefined);
  await node.kill();
  expect(await dump()).toEqual(running);
  expect(await dump("--store-key-prefix", "other")).toEqual([]);
  expect(await dump("--prefix", "metasrv")).toEqual(running);
  expect(await dump("--prefix", "other")).toEqual([]);
  const store = new Etcd3({ hosts: etcd.endpoint });
  expect(await store.getAll().prefix("other").keys()).toEqual([]);
  store.close();
});

test("metasrv dump of an etcd that is not there says so, and ends with 1", async () => {
  const { code, said } = await runMetasrv("dump", "--store-addrs", "127.0.0.1:1", "--store-request-timeout", "1s");
  expect(code).toBe(1);
  expect(said).toContain("ECONNREFUSED 127.0.0.1:1");
});

afterAll(leakCheck());

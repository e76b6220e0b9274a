import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd, startMetasrv, startTcpProxy, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, ticketsIn } from "./in-store.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

const boundMs = 5_000;

let etcd: Etcd;
let store: Etcd3;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
});

test("SIGTERM ends waits with UNAVAILABLE, keeps holds, ends the membership, and the process with 0", async () => {
  const prefix = "stopped";
  const options = { store: etcd.endpoint, args: ["--store-key-prefix", prefix] };
  await using node = await startMetasrv(options);
  await using other = await startMetasrv(options);
  using locks = new PlainLocks(node.url);
  using json = new PlainLocks(node.url, "json");
  using elsewhere = new PlainLocks(other.url);
  // A connection on which nothing happens must not delay the stop.
  const idle = connect(Number(new URL(node.url).port), "127.0.0.1");
  await once(idle, "connect");

  const held = await locks.lock("a", { ttlMs: 60_000 });
  const waits = [
    await locks.queueUp("a"),
    await locks.queueUp("a", { ticketId: randomBytes(16) }),
    await json.queueUp("a", { waitMs: 60_000 }),
  ];
  const failures = waits.map(({ granted }) => rpcFailure(granted));
  expect(await memberKeys(store, prefix)).toHaveLength(2);

  const toldAt = performance.now();
  await node.kill("SIGTERM");
  for (const failure of failures) {
    expect(await failure).toMatchObject({
      code: "Unavailable",
      reason: "SHUTTING_DOWN",
      message: expect.stringContaining("shutting down") as unknown,
    });
  }
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(boundMs);
  expect(await memberKeys(store, prefix)).toHaveLength(1);

  expect(await elsewhere.state("a")).toMatchObject({ holderToken: held.token });
  // A wait that could have been resumed, and was not, is gone after the grace.
  await until(async () => (await ticketsIn(etcd.endpoint, prefix)).length === 1, {
    what: "the waits to be gone",
  });
  await elsewhere.renew(held);
  await elsewhere.unlock(held);
  idle.destroy();
  expect(await other.stop()).toBe(0);
  expect(await memberKeys(store, prefix)).toEqual([]);
});

test("a node that is told to stop while etcd cannot be reached ends all the same", async () => {
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  await using node = await startMetasrv({ store: proxy.address, args: ["--store-key-prefix", "cut-off"] });
  using locks = new PlainLocks(node.url);
  await locks.lock("a", { ttlMs: 60_000 });
  const waiter = await locks.queueUp("a");
  proxy.pause("toClient");
  proxy.pause("toTarget");
  const failure = rpcFailure(waiter.granted);
  const toldAt = performance.now();
  await node.kill("SIGTERM");
  expect(await failure).toMatchObject({ code: "Unavailable" });
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(boundMs);
});

test("a node in memory stops in order too", async () => {
  await using node = await startMetasrv();
  using locks = new PlainLocks(node.url);
  await locks.lock("a", { ttlMs: 60_000 });
  const failure = rpcFailure((await locks.queueUp("a")).granted);
  expect(await node.stop()).toBe(0);
  expect(await failure).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
});

afterAll(async () => {
  store.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

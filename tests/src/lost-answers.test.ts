import { randomInt } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import {
  type Etcd,
  leakCheck,
  type Metasrv,
  startEtcd,
  startMetasrv,
  startTcpProxy,
  type TcpProxy,
  until,
} from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { entryKeys, ticketsIn, ticketTextsIn } from "./in-store.js";
import { LeftTickets } from "./left-tickets.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

// metasrv reaches etcd through a proxy. The test reads etcd directly, so it knows when a transaction was committed, and
// then takes its answer away.
let etcd: Etcd;
let store: Etcd3;
let proxy: TcpProxy;
let node: Metasrv;
let locks: PlainLocks;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
  proxy = await startTcpProxy({ target: etcd.endpoint });
  node = await startMetasrv({ store: proxy.address });
  locks = new PlainLocks(node.url);
});

const left = new LeftTickets(() => ticketTextsIn(etcd.endpoint));
afterEach(() => left.gone());

/**
 * Does something whose transaction etcd commits, while the connection breaks before any byte of the answer comes back.
 */
async function withoutAnswer<T>(act: () => Promise<T>, committed: () => Promise<boolean>): Promise<T> {
  proxy.pause("toClient");
  const result = act();
  result.catch(() => undefined);
  await until(committed, { what: "etcd to commit" });
  proxy.cut();
  proxy.resume("toClient");
  return await result;
}

const tickets = async (name: string): Promise<number> => (await ticketsIn(etcd.endpoint, "metasrv", name)).length;
const entries = async (): Promise<number> => (await entryKeys(store)).length;

test("of a lock: it is granted once, with the token of the one ticket there is", async () => {
  const grant = await withoutAnswer(
    () => locks.lock("a"),
    async () => (await tickets("a")) === 1,
  );
  expect(await ticketsIn(etcd.endpoint)).toEqual([expect.objectContaining({ token: grant.token, holds: true })]);
  await locks.unlock(grant);
});

test("of a try-lock: it is granted", async () => {
  const grant = await withoutAnswer(
    () => locks.tryLock("a"),
    async () => (await tickets("a")) === 1,
  );
  if (grant.$typeName !== "metasrv.v1.Grant") {
    throw new Error("refused, though it holds the lock itself");
  }
  await locks.unlock(grant);
});

test("of a waiter's request: it has one place in the queue, and is served", async () => {
  const holder = await locks.lock("a");
  const [next] = await Promise.all([
    withoutAnswer(
      () => locks.lock("a"),
      async () => (await tickets("a")) === 2,
    ),
    locks.waitersAre("a", 1).then(() => locks.unlock(holder)),
  ]);
  expect(await tickets("a")).toBe(1);
  await locks.unlock(next);
});

test("of an unlock: it succeeds, the next waiter is served, and a second one says that it is not held", async () => {
  const holder = await locks.lock("a");
  const waiter = await locks.queueUp("a");
  await withoutAnswer(
    () => locks.unlock(holder),
    async () => (await tickets("a")) === 1,
  );
  const next = await waiter.granted;
  expect(await rpcFailure(locks.unlock(holder))).toMatchObject({ reason: "NOT_HELD" });
  await locks.unlock(next);
});

test("of a renewal: it succeeds, the lock stays held for its TTL, and can be renewed and unlocked", async () => {
  const ttlMs = 3_000;
  const holder = await locks.lock("a", { ttlMs });
  const waiter = await locks.queueUp("a");
  const before = await entries();
  const renewedAt = performance.now();
  await withoutAnswer(
    () => locks.renew(holder),
    async () => (await entries()) > before,
  );
  await locks.renew(holder);
  expect(await locks.state("a")).toMatchObject({ holderToken: holder.token });
  const next = await waiter.granted;
  expect(performance.now() - renewedAt).toBeGreaterThanOrEqual(ttlMs);
  await locks.unlock(next);
});

test("of whatever is under way when the connection breaks at any byte: nothing doubled", async () => {
  await using load = new LockLoad({ endpoints: [[node.url]], workers: 20, locks: ["a", "b", "c", "d"] });
  for (let round = 0; round < 15; round++) {
    await proxy.cutAfterBytes(randomInt(1, 4_000));
    await load.proceeds(20);
  }
  expect(await load.stop()).toEqual([]);
});

afterAll(async () => {
  locks[Symbol.dispose]();
  await node[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  store.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

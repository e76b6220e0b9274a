import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { ticketTextsIn } from "./in-store.js";
import { LeftTickets } from "./left-tickets.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

let etcd: Etcd;
let store: Etcd3;
let nodes: readonly Metasrv[];
let here: PlainLocks;
let there: PlainLocks;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
  const [first, second] = await Promise.all([
    startMetasrv({ store: etcd.endpoint }),
    startMetasrv({ store: etcd.endpoint }),
  ]);
  nodes = [first, second];
  here = new PlainLocks(first.url);
  there = new PlainLocks(second.url, "grpc");
});

const left = new LeftTickets(() => ticketTextsIn(etcd.endpoint));
afterEach(() => left.gone());

test("what is held at one node is taken at the other, with the holder's name and token", async () => {
  const grant = await here.lock("seen", { owner: "orders-7" });
  expect(await there.tryLock("seen")).toMatchObject({ holderOwner: "orders-7", holderToken: grant.token, waiters: 0 });
  await here.unlock(grant);
});

test("waiters of both nodes stand in one queue", async () => {
  const holder = await here.lock("queue");
  const served: number[] = [];
  const turns: Promise<void>[] = [];
  for (let place = 0; place < 6; place++) {
    const locks = place % 2 === 0 ? there : here;
    const { granted } = await locks.queueUp("queue");
    await here.waitersAre("queue", place + 1);
    await there.waitersAre("queue", place + 1);
    const serve = async (): Promise<void> => {
      const grant = await granted;
      served.push(place);
      await locks.unlock(grant);
    };
    turns.push(serve());
  }
  await here.unlock(holder);
  await Promise.all(turns);
  expect(served).toEqual([0, 1, 2, 3, 4, 5]);
});

test("an unlock at the other node releases, and the first node knows", async () => {
  const grant = await here.lock("elsewhere");
  const waiter = await here.queueUp("elsewhere");
  await there.unlock(grant);
  const next = await waiter.granted;
  expect(next.token).toBeGreaterThan(grant.token);
  expect(await rpcFailure(here.renew(grant))).toMatchObject({ code: "FailedPrecondition", reason: "NOT_HELD" });
  expect(await rpcFailure(here.unlock(grant))).toMatchObject({ code: "FailedPrecondition", reason: "NOT_HELD" });
  await here.unlock(next);
});

test("a renewal at the other node moves the clock there", async () => {
  const grant = await here.lock("moved", { ttlMs: 1_000 });
  const waiter = await here.queueUp("moved");
  const renewedAt = performance.now();
  await there.renew(grant, 2_500);
  const next = await waiter.granted;
  expect(performance.now() - renewedAt).toBeGreaterThanOrEqual(2_500);
  await here.unlock(next);
});

test("renewals at both nodes in turn keep the lock, whatever is told first", async () => {
  const grant = await here.lock("to and fro", { ttlMs: 60_000 });
  for (let round = 0; round < 20; round++) {
    await there.renew(grant);
    await here.renew(grant);
  }
  expect(await there.state("to and fro")).toMatchObject({ holderToken: grant.token });
  await there.unlock(grant);
});

test("a wait that is asked for again at the other node keeps its place", async () => {
  const ticketId = randomBytes(16);
  const holder = await here.lock("resumed");
  const earlier = await here.queueUp("resumed", { ticketId });
  const behind = await here.queueUp("resumed");
  const resumed = there.lock("resumed", { ticketId });
  expect(await rpcFailure(earlier.granted)).toMatchObject({ code: "Aborted", reason: "SUPERSEDED" });
  await here.unlock(holder);
  const first = await resumed;
  await there.unlock(first);
  const second = await behind.granted;
  expect(second.token).toBeGreaterThan(first.token);
  await here.unlock(second);
});

test("a grant that is asked for again at the other node is confirmed there, and expires there", async () => {
  const ticketId = randomBytes(16);
  const grant = await here.lock("confirmed", { ticketId, ttlMs: 1_500 });
  const waiter = await here.queueUp("confirmed");
  const askedAt = performance.now();
  const again = await there.lock("confirmed", { ticketId, ttlMs: 1_500 });
  expect(again.token).toBe(grant.token);
  expect(Buffer.from(again.key)).toEqual(Buffer.from(grant.key));
  const next = await waiter.granted;
  expect(performance.now() - askedAt).toBeGreaterThanOrEqual(1_500);
  await here.unlock(next);
});

test("a wait that is asked for again at the other node without waiting is refused", async () => {
  const ticketId = randomBytes(16);
  const holder = await here.lock("impatient");
  const earlier = await here.queueUp("impatient", { ticketId });
  const refused = there.service.lock(
    { lock: { case: "name", value: "impatient" }, ticketId, waitMs: 0n },
    { timeoutMs: 3_000 },
  );
  expect((await refused).outcome.case).toBe("refused");
  expect(await rpcFailure(earlier.granted)).toMatchObject({ code: "Aborted" });
  await here.unlock(holder);
});

test("a text and its UTF-8 bytes are one lock", async () => {
  const grant = await here.lock("größe");
  const value = new TextEncoder().encode("größe");
  const { outcome } = await there.service.lock({ lock: { case: "nameBytes", value }, waitMs: 0n });
  expect(outcome.case).toBe("refused");
  await here.unlock(grant);
});

test("under load from both nodes no lock is granted twice", async () => {
  const [first, second] = nodes;
  if (first === undefined || second === undefined) {
    throw new Error("there are two nodes");
  }
  await using load = new LockLoad({
    endpoints: [[first.url], [second.url]],
    workers: 40,
    locks: ["a", "b", "c", "d"],
  });
  await load.proceeds(300);
  expect(await load.stop()).toEqual([]);
});

afterAll(async () => {
  here[Symbol.dispose]();
  there[Symbol.dispose]();
  store.close();
  for (const node of nodes) {
    await node[Symbol.asyncDispose]();
  }
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

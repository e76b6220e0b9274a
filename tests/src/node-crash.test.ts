import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { type Etcd, leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, ticketsIn } from "./in-store.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

let etcd: Etcd;
let store: Etcd3;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
});

test("what a killed node served: its hold lasts its TTL from the takeover, its waiters go, others are served", async () => {
  const options = { store: etcd.endpoint, args: ["--member-ttl", "2s", "--store-key-prefix", "takeover"] };
  await using doomed = await startMetasrv(options);
  await using survivor = await startMetasrv(options);
  using atDoomed = new PlainLocks(doomed.url);
  using atSurvivor = new PlainLocks(survivor.url);

  const ttlMs = 1_500;
  const held = await atDoomed.lock("a", { ttlMs });
  await atDoomed.renew(held, ttlMs);
  const gone = await atDoomed.queueUp("a");
  await atSurvivor.waitersAre("a", 1);
  const waiter = await atSurvivor.queueUp("a");
  expect(await ticketsIn(etcd.endpoint, "takeover", "a")).toHaveLength(3);
  await atDoomed.renew(held, ttlMs);

  const killedAt = performance.now();
  await doomed.kill();
  await rpcFailure(gone.granted);
  const grant = await waiter.granted;
  expect(performance.now() - killedAt).toBeGreaterThanOrEqual(ttlMs);
  expect(grant.token).toBeGreaterThan(held.token);
  expect(await ticketsIn(etcd.endpoint, "takeover", "a")).toHaveLength(1);
  expect(await memberKeys(store, "takeover")).toHaveLength(1);
  expect(await rpcFailure(atSurvivor.renew(held))).toMatchObject({ reason: "NOT_HELD" });
  await atSurvivor.unlock(grant);
  expect(await ticketsIn(etcd.endpoint, "takeover")).toEqual([]);
});

test("clients of a killed node go to another: holds are kept, waits keep their place", async () => {
  const options = { store: etcd.endpoint, args: ["--member-ttl", "2s", "--store-key-prefix", "failover"] };
  await using doomed = await startMetasrv(options);
  await using survivor = await startMetasrv(options);
  using atSurvivor = new PlainLocks(survivor.url);
  await using client = new MetaClient({ endpoints: [doomed.url, survivor.url], firstEndpoint: "listed" });

  const held = await client.lock("held", { keepAlive: true });
  const other = await atSurvivor.lock("waited for", { ttlMs: 60_000 });
  const waiting = client.lock("waited for");
  await atSurvivor.waitersAre("waited for", 1);
  const behind = await atSurvivor.queueUp("waited for");

  await doomed.kill();
  expect(await held.renew()).toBe("renewed");
  expect(held.signal.aborted).toBe(false);
  expect(await atSurvivor.state("held")).toMatchObject({ holderToken: held.token });
  // Both waits must still be in the queue when the survivor has taken over.
  await until(async () => (await memberKeys(store, "failover")).length === 1, {
    what: "the dead member to be gone",
  });
  await atSurvivor.unlock(other);
  const lock = await waiting;
  await lock.release();
  const last = await behind.granted;
  expect(last.token).toBeGreaterThan(lock.token);
  await atSurvivor.unlock(last);
  await held.release();
  await until(async () => (await ticketsIn(etcd.endpoint, "failover")).length === 0, {
    what: "all tickets to be gone",
  });
});

afterAll(async () => {
  store.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, ticketsIn } from "./in-store.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

test("a node that was stopped for longer than its lease tells no grant when it goes on, and takes no lock away", async () => {
  await using etcd = await startEtcd();
  const options = { store: etcd.endpoint, args: ["--member-ttl", "2s"] };
  await using paused = await startMetasrv(options);
  await using other = await startMetasrv(options);
  using atPaused = new PlainLocks(paused.url);
  using atOther = new PlainLocks(other.url);
  const store = new Etcd3({ hosts: etcd.endpoint });

  const kept = await atPaused.lock("kept", { ttlMs: 60_000 });
  const holder = await atOther.lock("contended", { ttlMs: 60_000 });
  const stale = await atPaused.queueUp("contended");
  const staleFailure = rpcFailure(stale.granted);
  await atOther.waitersAre("contended", 1);
  const behind = await atOther.queueUp("contended");

  await paused.kill("SIGSTOP");
  await until(async () => (await memberKeys(store)).length === 1, { what: "its lease to lapse" });
  await atOther.unlock(holder);
  const grant = await behind.granted;

  // Everything that happened meanwhile reaches the node now. The first news is that its waiter was the first in the
  // queue for a while.
  await paused.kill("SIGCONT");
  await staleFailure;
  await until(async () => (await memberKeys(store)).length === 2, { what: "it to join again" });
  expect(await atOther.state("contended")).toMatchObject({ holderToken: grant.token, waiters: 0 });
  expect(await atOther.state("kept")).toMatchObject({ holderToken: kept.token });
  await atPaused.renew(kept);
  await atPaused.unlock(kept);
  await atPaused.unlock(grant);
  expect(await ticketsIn(etcd.endpoint)).toEqual([]);
  store.close();
});

afterAll(leakCheck());

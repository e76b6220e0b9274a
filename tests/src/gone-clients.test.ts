import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { Child, type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { ticketsIn, ticketTextsIn } from "./in-store.js";
import { LeftTickets } from "./left-tickets.js";
import { PlainLocks } from "./plain-locks.js";

let etcd: Etcd;
let store: Etcd3;
let node: Metasrv;
let locks: PlainLocks;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
  node = await startMetasrv({ store: etcd.endpoint });
  locks = new PlainLocks(node.url);
});

const left = new LeftTickets(() => ticketTextsIn(etcd.endpoint));
afterEach(() => left.gone());

const client = `
  import { MetaClient } from "@metasrv/meta-client";
  const meta = new MetaClient({ endpoints: [process.argv[1]] });
  await meta.lock("held", { ttlMs: 1_500, keepAlive: true });
  await meta.lock("waited for");
`;

test("a client process that is killed: its wait ends within the grace, its hold with its TTL", async () => {
  const holder = await locks.lock("waited for", { ttlMs: 60_000 });
  const args = ["--input-type=module", "--eval", client, node.url];
  const child = await Child.start({ command: process.execPath, args, env: { PATH: process.env.PATH } });
  await locks.waitersAre("waited for", 1);
  const held = await locks.state("held");
  const next = await locks.queueUp("held");

  await child.kill();
  const grant = await next.granted;
  expect(grant.token).toBeGreaterThan(held?.holderToken ?? 0n);
  await locks.unlock(grant);
  await locks.waitersAre("waited for", 0);
  expect(await ticketsIn(etcd.endpoint)).toHaveLength(1);
  await locks.unlock(holder);
});

test("a wait whose connection broke keeps its place for a client that asks for the same ticket again", async () => {
  const ticketId = randomBytes(16);
  const holder = await locks.lock("a", { ttlMs: 60_000 });
  {
    using breaking = new PlainLocks(node.url);
    await breaking.queueUp("a", { ticketId });
  }
  const behind = await locks.queueUp("a");
  const resumed = locks.lock("a", { ticketId });
  await locks.unlock(holder);
  const first = await resumed;
  await locks.unlock(first);
  const second = await behind.granted;
  expect(second.token).toBeGreaterThan(first.token);
  await locks.unlock(second);
});

test("a wait whose connection broke and that nobody can ask for again ends at once, and the next is served", async () => {
  const holder = await locks.lock("a", { ttlMs: 60_000 });
  {
    using breaking = new PlainLocks(node.url);
    await breaking.queueUp("a");
  }
  await locks.waitersAre("a", 0);
  const next = await locks.queueUp("a");
  await locks.unlock(holder);
  await locks.unlock(await next.granted);
});

afterAll(async () => {
  locks[Symbol.dispose]();
  store.close();
  await node[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

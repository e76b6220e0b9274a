import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { probe } from "./http-probe.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";
import { PlainSession } from "./plain-session.js";

const boundMs = 5_000;

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

function lock(number: number, name: string, ticketId: Uint8Array = randomBytes(16)) {
  const lockName = { case: "name", value: name } as const;
  return { number, command: { case: "lock", value: { lock: lockName, ticketId } } } as const;
}

/** A node and another one, with a prefix of their own. */
async function startTwo(prefix: string, ...args: string[]): Promise<readonly [Metasrv, Metasrv]> {
  const options = { store: etcd.endpoint, args: ["--store-key-prefix", prefix] };
  return [await startMetasrv({ ...options, args: [...options.args, ...args] }), await startMetasrv(options)];
}

test("a node that is told to stop sends its sessions away first, and serves what is asked until they have gone", async () => {
  const [first, second] = await startTwo("drained", "--drain-ms", "60000");
  await using node = first;
  await using other = second;
  using locks = new PlainLocks(node.url);
  using elsewhere = new PlainLocks(other.url);
  const session = new PlainSession(locks.service);
  const moved = randomBytes(16);
  const blocker = await elsewhere.lock("waited for", { ttlMs: 60_000 });
  session.send(lock(1, "held"), lock(2, "waited for", moved));
  expect(await session.events()).toEqual(["1 granted"]);
  await elsewhere.waitersAre("waited for", 1);
  const behind = await elsewhere.queueUp("waited for");

  const toldAt = performance.now();
  await node.kill("SIGTERM");
  expect(await session.message(({ draining }) => draining)).toMatchObject({ draining: true, events: [] });
  expect(await probe(`${node.url}/readyz`)).toMatchObject({
    status: 503,
    text: expect.stringContaining("about to stop") as unknown,
  });
  // Calls and sessions that are open are served; new sessions are not.
  await locks.unlock(await locks.lock("by a unary call"));
  session.send(lock(3, "by the session"));
  expect(await session.events()).toEqual(["3 granted"]);
  const late = new PlainSession(locks.service);
  expect(await rpcFailure(late.ended())).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
  late.end();

  // The stream ends before the client asks for the wait elsewhere. The wait keeps its place nevertheless.
  session.end();
  await session.ended();
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(boundMs);
  expect(node.logs.map(({ msg }) => msg)).toEqual(expect.arrayContaining(["draining", "stopping", "stopped"]));
  const again = elsewhere.lock("waited for", { ticketId: moved });
  await elsewhere.unlock(blocker);
  const grant = await again;
  await elsewhere.unlock(grant);
  expect((await behind.granted).token).toBeGreaterThan(grant.token);
});

test("a client moves its locks and waits without noticing, and the node does not wait longer than that", async () => {
  const [first, second] = await startTwo("moved", "--drain-ms", "60000");
  await using node = first;
  await using other = second;
  using elsewhere = new PlainLocks(other.url);
  await using client = new MetaClient({ endpoints: [node.url, other.url], firstEndpoint: "listed" });
  const held = await client.lock("held", { keepAlive: true });
  const blocker = await elsewhere.lock("waited for", { ttlMs: 60_000 });
  const waiting = client.lock("waited for");
  await elsewhere.waitersAre("waited for", 1);
  const behind = await elsewhere.queueUp("waited for");

  const toldAt = performance.now();
  await node.kill("SIGTERM");
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(boundMs);
  await elsewhere.unlock(blocker);
  const granted = await waiting;
  expect(held.signal.aborted).toBe(false);
  expect(await held.renew()).toBe("renewed");
  expect(await elsewhere.state("held")).toMatchObject({ holderToken: held.token });
  await granted.release();
  expect((await behind.granted).token).toBeGreaterThan(granted.token);
  await held.release();
});

test("a session that does not go is waited for as long as is configured, and the node ends in time", async () => {
  const [first, second] = await startTwo("stubborn");
  await using node = first;
  await using other = second;
  using locks = new PlainLocks(node.url);
  const session = new PlainSession(locks.service);
  await session.message();
  const toldAt = performance.now();
  await node.kill("SIGTERM");
  await session.message(({ draining }) => draining);
  expect(await rpcFailure(session.ended())).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
  expect(performance.now() - toldAt).toBeGreaterThanOrEqual(2_000);
  session.end();
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(boundMs);
  expect(await other.stop()).toBe(0);
});

test("it is switched off by --drain-ms 0", async () => {
  const [first, second] = await startTwo("hasty", "--drain-ms", "0");
  await using node = first;
  await using other = second;
  await endsWithoutDraining(node);
  // This node is alone now, so its clients could not move anywhere.
  await other.waitForLog(({ msg }) => msg === "leads now");
  await endsWithoutDraining(other);
});

test("a node in memory has nowhere to send anybody", async () => {
  await using node = await startMetasrv();
  await endsWithoutDraining(node);
});

/** Stops a node that has an open session, which is only told of the end. */
async function endsWithoutDraining(node: Metasrv): Promise<void> {
  using locks = new PlainLocks(node.url);
  const session = new PlainSession(locks.service);
  await session.message();
  const told = rpcFailure(session.message(({ draining }) => draining));
  expect(await node.stop()).toBe(0);
  expect(await told).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
  session.end();
  expect(node.logs.map(({ msg }) => msg)).not.toContain("draining");
}

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Grant, LockNode } from "@metasrv/metasrv";
import { type Etcd, leakCheck, startEtcd, startTcpProxy, type TcpProxy, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, ticketsIn } from "./in-store.js";
import { type NodeInProcess, startNodeInProcess } from "./node-in-process.js";

// A node that was cut off or stopped does not know yet that its lease is gone. Its writes reach etcd when others have
// served its clients for a long time. They must not leave a ticket that nobody serves and that blocks everybody.

const ttlMs = 60_000;

let etcd: Etcd;
let client: Etcd3;
let proxy: TcpProxy;
let prefix: string;
let tests = 0;

beforeAll(async () => {
  etcd = await startEtcd();
  client = new Etcd3({ hosts: etcd.endpoint });
  proxy = await startTcpProxy({ target: etcd.endpoint });
});

beforeEach(() => {
  prefix = `test-${++tests}`;
});

test.each([
  ["a request", undefined],
  ["a try-lock of a free lock", 0],
])("%s is answered as by a node that is no member; then the node joins again and serves", async (_what, waitMs) => {
  await using node = await startBehindProxy();
  const late = await afterTheLease(() => lock(node.locks, "a", waitMs));
  expect(late).toMatchObject({ status: "rejected", reason: { reason: "not-a-member" } });
  expect(await ticketsIn(etcd.endpoint, prefix)).toEqual([]);
  await joinedAgain(node);
  const grant = await lock(node.locks, "a");
  await node.locks.unlock(grant.key);
});

test("of much that is asked for at once nothing is done", async () => {
  await using node = await startBehindProxy();
  const held = await lock(node.locks, "held");
  const names = Array.from({ length: 50 }, (_, n) => `lock-${n}`);
  const late = await afterTheLease(() =>
    Promise.allSettled([node.locks.unlock(held.key), ...names.map((name) => lock(node.locks, name))]),
  );
  const answers = late.status === "fulfilled" ? late.value : [];
  expect(answers).toHaveLength(names.length + 1);
  for (const one of answers) {
    expect(one).toMatchObject({ status: "rejected", reason: { reason: "not-a-member" } });
  }
  expect(await ticketsIn(etcd.endpoint, prefix)).toEqual([expect.objectContaining({ token: held.token })]);
  await joinedAgain(node);
  await node.locks.unlock(held.key);
});

test("a renewal does not count, and the lock stays held for the node that takes it over", async () => {
  await using node = await startBehindProxy();
  const grant = await lock(node.locks, "a");
  const late = await afterTheLease(() => node.locks.renew(grant.key));
  expect(late).toMatchObject({ status: "rejected", reason: { reason: "not-a-member" } });
  await joinedAgain(node);
  // The node takes over its own former ticket: it leads again, because there is no other member.
  await until(() => node.locks.size === 1, { what: "the takeover" });
  expect(await node.locks.renew(grant.key)).toBe(ttlMs);
  await node.locks.unlock(grant.key);
});

test("a lock is not taken from the member that serves it", async () => {
  await using other = await startNodeInProcess({ host: etcd.endpoint, prefix });
  const [serving = ""] = await memberKeys(client, prefix);
  await using node = await startBehindProxy();
  const grant = await lock(other.locks, "a");
  const before = await ticketsIn(etcd.endpoint, prefix);
  await until(() => node.locks.state(Buffer.from("a")).holderToken === grant.token, { what: "the node to know it" });
  const late = await afterTheLease(() => node.locks.renew(grant.key), serving);
  expect(late).toMatchObject({ status: "rejected", reason: { reason: "not-a-member" } });
  expect(await ticketsIn(etcd.endpoint, prefix)).toEqual(before);
  await other.locks.unlock(grant.key);
});

function startBehindProxy() {
  return startNodeInProcess({ host: proxy.address, prefix });
}

/** Does something whose transaction reaches etcd only when the leases of all members but `spared` are gone. */
async function afterTheLease<T>(act: () => Promise<T>, spared?: string): Promise<PromiseSettledResult<T>> {
  proxy.pause("toTarget");
  const outcome = Promise.allSettled([act()]);
  for (const key of await memberKeys(client, prefix)) {
    if (key !== spared) {
      await client.leaseClient.leaseRevoke({ ID: leaseOf(key) });
    }
  }
  proxy.resume("toTarget");
  const [settled] = await outcome;
  return settled;
}

/** A member is named after its lease, in hexadecimal digits. */
function leaseOf(memberKey: string): string {
  return BigInt(`0x${memberKey.slice(memberKey.lastIndexOf("/") + 1)}`).toString();
}

async function joinedAgain({ locks }: NodeInProcess): Promise<void> {
  await until(async () => (await memberKeys(client, prefix)).length === 1, { what: "its new key" });
  await until(() => locks.problems().length === 0, { what: "the node to know that it has joined again" });
}

function lock(locks: LockNode, name: string, waitMs?: number): Promise<Grant> {
  return new Promise((granted, failed) => {
    const request = { name: Buffer.from(name), ttlMs, ...(waitMs !== undefined && { waitMs }) };
    const refused = () => {
      failed(new Error("refused"));
    };
    locks.claim(request, { granted, failed, refused, lost: () => undefined });
  });
}

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  client.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

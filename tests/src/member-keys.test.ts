import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { MemberSchema } from "@metasrv/proto/metasrv/store/v1";
import { ClusterService, MemberRole } from "@metasrv/proto/metasrv/v1";
import { type Etcd, leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, putEntry, ticketsIn } from "./in-store.js";
import { PlainLocks } from "./plain-locks.js";
import { openRpcClient } from "./rpc-client.js";

let etcd: Etcd;
let store: Etcd3;

beforeEach(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
});

afterEach(async () => {
  store.close();
  await etcd[Symbol.asyncDispose]();
});

test("a server whose member key somebody deletes joins again at once, and serves", async () => {
  await using node = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(node.url);
  const held = await locks.lock("held", { ttlMs: 60_000 });
  const [key = ""] = await memberKeys(store);
  const deletedAt = performance.now();
  await store.delete().key(key);
  await node.waitForLog(({ msg }) => String(msg).startsWith("membership lost"));
  await until(async () => (await memberKeys(store)).some((one) => one !== key), { what: "another key" });
  // Far less than the member TTL, which is 10 s.
  expect(performance.now() - deletedAt).toBeLessThan(5_000);
  await node.waitForLog(({ msg, memberId }) => msg === "joined" && !key.endsWith(String(memberId)));
  await locks.unlock(await locks.lock("new"));
  await locks.renew(held);
  await locks.unlock(held);
});

test("a member key without a lease never leads, however old it is, and keeps no lock", async () => {
  const message = { address: "nobody:1", version: "0", level: 1 };
  await store.put("metasrv/@/members/1").value(Buffer.from(toBinary(MemberSchema, create(MemberSchema, message))));
  await putEntry(store, {
    level: 1,
    contents: [{ ttlMs: 1_500n, owner: "nobody" }],
    commands: [
      {
        command: { case: "create", value: { name: Buffer.from("a"), id: Buffer.alloc(16, 7), content: 0, try: false } },
      },
    ],
  });
  expect(await ticketsIn(etcd.endpoint)).toEqual([expect.objectContaining({ memberId: "1", holds: true })]);

  await using node = await startMetasrv({ store: etcd.endpoint });
  const warned = await node.waitForLog(({ key }) => key === "metasrv/@/members/1");
  expect(warned.level).toBe(40);
  await node.waitForLog(({ msg }) => msg === "leads now");
  using rpc = openRpcClient("connect", node.url);
  const { members } = await createClient(ClusterService, rpc.transport).listMembers({});
  expect(members.map(({ address, role }) => [address, role])).toEqual([[node.address, MemberRole.LEADER]]);

  // The leader gives the ticket a full TTL, because its holder may have been told of a grant. Then others get the lock.
  using locks = new PlainLocks(node.url);
  const grant = await locks.lock("a", { waitMs: 10_000 });
  await locks.unlock(grant);
  expect(await ticketsIn(etcd.endpoint)).toEqual([]);
});

afterAll(leakCheck());

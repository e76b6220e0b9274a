import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type ClusterMember, ClusterService, MemberRole } from "@metasrv/proto/metasrv/v1";
import { type Etcd, leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { openRpcClient } from "./rpc-client.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

/** The members, each as its role and its address. */
function described(members: readonly ClusterMember[]): string[] {
  return members.map(({ role, address }) => `${MemberRole[role]} ${address}`);
}

test("every node lists the members, the first to come as the leader", async () => {
  const options = { store: etcd.endpoint, args: ["--store-key-prefix", "listed"] };
  const startedAt = Date.now();
  await using first = await startMetasrv(options);
  await using second = await startMetasrv({ ...options, args: [...options.args, "--server-addr", "example.com:1"] });
  for (const [url, wire] of [
    [first.url, "json"],
    [second.url, "grpc"],
  ] as const) {
    using rpc = openRpcClient(wire, url);
    const { members } = await createClient(ClusterService, rpc.transport).listMembers({});
    expect(described(members)).toEqual([`LEADER ${first.address}`, "FOLLOWER example.com:1"]);
    expect(new Set(members.map(({ id }) => id)).size).toBe(2);
    for (const { version, startedUnixMs } of members) {
      expect(version).toMatch(/^\d+\.\d+\.\d+/u);
      expect(Number(startedUnixMs)).toBeGreaterThanOrEqual(startedAt);
      expect(Number(startedUnixMs)).toBeLessThanOrEqual(Date.now());
    }
  }
});

test("who watches sees a member come, and one that was killed go after the member TTL, and another lead", async () => {
  const options = { store: etcd.endpoint, args: ["--store-key-prefix", "watched", "--member-ttl", "2s"] };
  await using leader = await startMetasrv(options);
  await using follower = await startMetasrv(options);
  using rpc = openRpcClient("grpc", follower.url);
  const abort = new AbortController();
  const watch = createClient(ClusterService, rpc.transport).watchMembers({}, { signal: abort.signal });
  const seen = watch[Symbol.asyncIterator]();
  const nextMembers = async () => {
    const next = await seen.next();
    if (next.done === true) {
      throw new Error("the watch has ended");
    }
    return described(next.value.members);
  };
  expect(await nextMembers()).toEqual([`LEADER ${leader.address}`, `FOLLOWER ${follower.address}`]);

  await using third = await startMetasrv(options);
  expect(await nextMembers()).toEqual([
    `LEADER ${leader.address}`,
    `FOLLOWER ${follower.address}`,
    `FOLLOWER ${third.address}`,
  ]);

  const killedAt = performance.now();
  await leader.kill();
  expect(await nextMembers()).toEqual([`LEADER ${follower.address}`, `FOLLOWER ${third.address}`]);
  const goneAfterMs = performance.now() - killedAt;
  // The last keep-alive may be as old as a third of the TTL.
  expect(goneAfterMs).toBeGreaterThan(1_000);
  expect(goneAfterMs).toBeLessThan(6_000);
  await follower.waitForLog(({ msg }) => msg === "leads now");

  // A member that is stopped is gone at once.
  const stopped = third.stop();
  expect(await nextMembers()).toEqual([`LEADER ${follower.address}`]);
  expect(await stopped).toBe(0);
  abort.abort();
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

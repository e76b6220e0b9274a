import { createClient } from "@connectrpc/connect";
import { afterAll, expect, test } from "@jest/globals";
import { ClusterService } from "@metasrv/proto/metasrv/v1";
import { leakCheck, startEtcd, startMetasrv, startTcpProxy } from "@metasrv/testing";
import { ticketsIn } from "./in-store.js";
import { PlainLocks } from "./plain-locks.js";
import { openRpcClient } from "./rpc-client.js";

test("clusters with the prefixes a and a/b do not meet: not in their locks, their members, nor in what they watch", async () => {
  await using etcd = await startEtcd();
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  await using outer = await startMetasrv({ store: proxy.address, args: ["--store-key-prefix", "a"] });
  await using inner = await startMetasrv({ store: etcd.endpoint, args: ["--store-key-prefix", "a/b"] });
  using locks = new PlainLocks(outer.url);
  using innerLocks = new PlainLocks(inner.url);

  const [one, other] = [await locks.lock("x"), await innerLocks.lock("x")];
  expect(await ticketsIn(etcd.endpoint, "a")).toEqual([expect.objectContaining({ token: one.token })]);
  expect(await ticketsIn(etcd.endpoint, "a/b")).toEqual([expect.objectContaining({ token: other.token })]);
  for (const server of [outer, inner]) {
    using rpc = openRpcClient("connect", server.url);
    const { members } = await createClient(ClusterService, rpc.transport).listMembers({});
    expect(members.map(({ address }) => address)).toEqual([server.address]);
  }

  const before = proxy.bytes.toClient;
  for (let round = 0; round < 200; round++) {
    await innerLocks.unlock(await innerLocks.lock(`busy-${round}`));
  }
  // 400 entries would be at least 40 kB. What comes here are the answers to the node's own checks and keep-alives.
  expect(proxy.bytes.toClient - before).toBeLessThan(15_000);
  for (const server of [outer, inner]) {
    expect(server.logs.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  }
  await locks.unlock(one);
  await innerLocks.unlock(other);
});

afterAll(leakCheck());

import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@metasrv/proto/grpc/health/v1";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { type Etcd, freePorts, leakCheck, startEtcd, startMetasrv, startTcpProxy, until } from "@metasrv/testing";
import { probe } from "./http-probe.js";
import { openRpcClient } from "./rpc-client.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

test("a node that cannot reach etcd is not ready, says so, and is ready again when it can", async () => {
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  await using node = await startMetasrv({ store: proxy.address, args: ["--member-ttl", "2s"] });
  using rpc = openRpcClient("grpc", node.url);
  const health = createClient(Health, rpc.transport);
  const abort = new AbortController();
  const watch = health.watch({ service: LockService.typeName }, { signal: abort.signal })[Symbol.asyncIterator]();
  const nextStatus = async () => {
    const next = await watch.next();
    return next.done === true ? "the watch has ended" : ServingStatus[next.value.status];
  };
  expect(await probe(`${node.url}/readyz`)).toEqual({ status: 200, text: "ready\n" });
  expect(await nextStatus()).toBe("SERVING");

  const cutAt = performance.now();
  proxy.pause("toTarget");
  proxy.pause("toClient");
  expect(await nextStatus()).toBe("NOT_SERVING");
  expect(performance.now() - cutAt).toBeLessThan(4_000);
  const answer = await probe(`${node.url}/readyz`);
  expect([answer.status, answer.text]).toEqual([503, expect.stringContaining("not ready: it ")]);
  expect((await health.check({})).status).toBe(ServingStatus.NOT_SERVING);
  expect(await probe(`${node.url}/healthz`)).toEqual({ status: 200, text: "ok\n" });

  proxy.resume("toTarget");
  proxy.resume("toClient");
  expect(await nextStatus()).toBe("SERVING");
  expect(await probe(`${node.url}/readyz`)).toEqual({ status: 200, text: "ready\n" });
  abort.abort();
});

test("a node whose etcd is stopped by the system is not ready either", async () => {
  await using node = await startMetasrv({
    store: etcd.endpoint,
    args: ["--member-ttl", "2s", "--store-key-prefix", "paused"],
  });
  const readyIs = async (status: number) => {
    await until(async () => (await probe(`${node.url}/readyz`)).status === status, {
      what: `/readyz to answer ${status}`,
    });
  };
  await readyIs(200);
  await etcd.kill("SIGSTOP");
  await readyIs(503);
  await etcd.kill("SIGCONT");
  await readyIs(200);
});

test("a node is not ready before it has joined", async () => {
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  proxy.refuse();
  const [port = 0] = await freePorts(1);
  const starting = startMetasrv({ store: proxy.address, args: ["--bind-addr", `127.0.0.1:${port}`] });
  const url = `http://127.0.0.1:${port}/readyz`;
  await until(async () => (await probe(url).catch(() => undefined)) !== undefined, { what: "the node to listen" });
  expect(await probe(url)).toMatchObject({ status: 503, text: expect.stringContaining("not a member") as unknown });
  expect(await probe(url)).toMatchObject({ text: expect.stringContaining("has not read the store yet") as unknown });
  await proxy.accept();
  await using node = await starting;
  expect(await probe(url)).toEqual({ status: 200, text: "ready\n" });
  await node.stop();
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

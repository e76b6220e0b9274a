import { afterAll, expect, test } from "@jest/globals";
import { freePorts, leakCheck, startEtcd, startMetasrv, startTcpProxy } from "@metasrv/testing";
import { PlainLocks } from "./plain-locks.js";
import { startedInVain } from "./started-in-vain.js";

test("an address that is in use: says who has it and what to do", async () => {
  await using node = await startMetasrv();
  const { code, said } = await startedInVain("--bind-addr", node.address);
  expect(code).toBe(1);
  expect(said).toContain(`cannot listen on ${node.address}`);
  expect(said).toContain("another process listens there");
});

test("a store that cannot be reached: says so while it tries again, and gives up in the time configured", async () => {
  const [port = 0] = await freePorts(1);
  const { code, said, tookMs } = await startedInVain(
    "--store-addrs",
    `127.0.0.1:${port}`,
    "--store-connect-timeout",
    "1s",
  );
  expect(code).toBe(1);
  expect(said).toMatch(new RegExp(`ECONNREFUSED 127\\.0\\.0\\.1:${port}.*trying again`));
  expect(said).toMatch(
    new RegExp(
      `error: etcd at .*127\\.0\\.0\\.1:${port} did not answer within 1000 ms \\(.*ECONNREFUSED.*check the addresses`,
    ),
  );
  expect(tookMs).toBeGreaterThanOrEqual(1_000);
});

test("a store whose packets go nowhere: gives up as well", async () => {
  // A server behind the proxy takes its connections. Without one, the proxy would end them.
  await using behind = await startMetasrv();
  await using silent = await startTcpProxy({ target: behind.address });
  silent.pause("toTarget");
  silent.pause("toClient");
  const { code, said } = await startedInVain("--store-addrs", silent.address, "--store-connect-timeout", "1s");
  expect(code).toBe(1);
  expect(said).toContain("did not answer within 1000 ms; check the addresses (https:// where etcd uses TLS");
});

test("a store that comes up in time: serves", async () => {
  await using etcd = await startEtcd();
  await using proxy = await startTcpProxy({ target: etcd.endpoint });
  proxy.refuse();
  const starting = startMetasrv({ store: proxy.address });
  starting.catch(() => undefined);
  await proxy.accept();
  await using node = await starting;
  using locks = new PlainLocks(node.url);
  await locks.unlock(await locks.lock("a"));
});

test.each([
  [["--store-addrs", "not an address"], /--store-addrs: expected host:port.*got "not an address"/],
  [["--store-addrs", "ftp://127.0.0.1:2379"], /--store-addrs: expected host:port/],
  [["--backend", "etcd"], /--store-addrs: .*at least one address/],
  [["--backend", "zookeeper"], /--backend.*memory, etcd/],
  [["--bind-addr", "nowhere"], /--bind-addr: expected host:port/],
  [["--store-addrs", "127.0.0.1:1", "--store-key-prefix", "a//b"], /--store-key-prefix/],
  [["--store-addrs", "127.0.0.1:1", "--member-ttl", "1s"], /--member-ttl: .*from 2 to 3600 seconds; got 1/],
  [
    ["--store-addrs", "127.0.0.1:1", "--store-connect-timeout", "soon"],
    /--store-connect-timeout.*500ms, 30s, 5m or 1h/,
  ],
  [["--no-such-flag"], /--no-such-flag/],
])("%j: exit code 2, and says what was expected", async (args, says) => {
  const { code, said } = await startedInVain(...args);
  expect(code).toBe(2);
  expect(said).toMatch(says);
  expect(said).toContain("metasrv start --help");
});

afterAll(leakCheck());

import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { authentications, EtcdUsers, lapsingTokens, type TokenKind } from "./etcd-users.js";
import { probe } from "./http-probe.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";
import { runMetasrv, startedInVain } from "./started-in-vain.js";

const all = { permType: "Readwrite", prefix: "metasrv" } as const;

let folder: string;
let passwordFile: string;
let etcd: Etcd;
let users: EtcdUsers;
let account: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-users-"));
  passwordFile = join(folder, "password");
  await writeFile(passwordFile, "first\n");
  account = ["--store-username", "locks", "--store-password-file", passwordFile];
});

afterEach(async () => {
  users[Symbol.dispose]();
  await etcd[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

afterAll(leakCheck());

/** An etcd with a user "locks". */
async function startEtcdWithUser(...extraArgs: string[]): Promise<void> {
  etcd = await startEtcd({ extraArgs });
  users = await EtcdUsers.of(etcd.endpoint);
  await users.add("locks", "first", [all]);
}

const startNode = (...args: string[]) => startMetasrv({ store: etcd.endpoint, args: [...account, ...args] });

const problemOf = async (node: Metasrv) => (await probe(`${node.url}/readyz`)).text;

describe.each<TokenKind>(["simple", "jwt"])("tokens (%s) that lapse after 5 s, and changes of users,", (kind) => {
  test("disturb nobody in 20 s of load, of holds and of waits", async () => {
    await startEtcdWithUser(...(await lapsingTokens(kind, folder)));
    await users.turnOn();
    await using one = await startNode();
    await using other = await startNode();
    await using load = new LockLoad({ endpoints: [[one.url], [other.url]], workers: 8, locks: ["a", "b", "c", "d"] });
    await using client = new MetaClient({ endpoints: [one.url] });
    const held = await client.lock("held", { ttlMs: 5_000 });
    using locks = new PlainLocks(other.url);
    const waiter = await locks.queueUp("held", { ttlMs: 60_000 });
    const before = await authentications([etcd.endpoint]);

    const startedAt = performance.now();
    const at = async (ms: number) => {
      await sleep(Math.max(0, startedAt + ms - performance.now()));
    };
    await at(7_000);
    await users.grant("locks", { permType: "Read", prefix: "elsewhere" });
    await at(9_000);
    await users.add("another", "unused", []);
    await at(11_000);
    await users.changePassword("locks", "second");
    await writeFile(`${passwordFile}.new`, "second\n");
    await rename(`${passwordFile}.new`, passwordFile);
    await at(20_000);

    expect(held.signal.aborted).toBe(false);
    const writes = load.writes;
    await load.proceeds(10);
    await held.release();
    await locks.unlock(await waiter.granted);
    expect(await load.stop()).toEqual([]);
    expect(load.unavailable).toBe(0);
    const asked = (await authentications([etcd.endpoint])) - before;
    process.stdout.write(`${kind}: ${writes} writes, ${asked} authentications of servers\n`);
    // Of two servers, at each lapse and change once, not once for each call; twice where a change comes while one is asked.
    expect(asked).toBeGreaterThanOrEqual(kind === "jwt" ? 8 : 2);
    expect(asked).toBeLessThanOrEqual(30);
    expect([...one.logs, ...other.logs].filter(({ msg }) => String(msg).startsWith("membership lost"))).toEqual([]);
  }, 90_000);
});

test("a user may be configured before etcd asks for one: turning that on disturbs nobody", async () => {
  await startEtcdWithUser();
  await using node = await startNode();
  await using load = new LockLoad({ endpoints: [[node.url]], workers: 4, locks: ["a", "b"] });
  await load.proceeds(20);
  await users.turnOn();
  await load.proceeds(100);
  await users.turnOff();
  await load.proceeds(100);
  expect(await load.stop()).toEqual([]);
  expect(load.unavailable).toBe(0);
}, 60_000);

test("etcd asks for a user while a server runs that has none: requests fail and readiness says why, until it has", async () => {
  await startEtcdWithUser();
  account = [];
  await using node = await startMetasrv({
    store: etcd.endpoint,
    args: ["--member-ttl", "2s", "--store-request-timeout", "1s"],
  });
  using locks = new PlainLocks(node.url);
  const lock = await locks.lock("a", { ttlMs: 60_000 });
  await users.turnOn();
  const refused = await rpcFailure(locks.unlock(lock));
  expect(refused).toMatchObject({ code: "Unavailable", reason: "STORE_UNAVAILABLE" });
  expect(refused.message).toContain("refuses this server (its log and GET /readyz say why)");
  expect(await problemOf(node)).toContain("etcd asks who this server is, and was not told: set store.username");
  const line = await node.waitForLog(({ msg }) => String(msg).startsWith("etcd refuses this server"));
  expect(line).toMatchObject({ level: 50, why: expect.stringContaining("--store-password-file") as unknown });
  await users.turnOff();
  await until(async () => (await problemOf(node)) === "ready\n", { what: "readiness", timeoutMs: 15_000 });
  await locks.unlock(await locks.lock("b"));
}, 60_000);

test("a password that was changed in etcd alone: the server says so, and goes on once it is in the file", async () => {
  await startEtcdWithUser();
  await users.turnOn();
  await using node = await startNode();
  using locks = new PlainLocks(node.url);
  await users.changePassword("locks", "second");
  await until(async () => (await problemOf(node)).includes('etcd has not the user "locks", or another password'), {
    what: "the problem to be told",
    timeoutMs: 15_000,
  });
  expect(await problemOf(node)).toContain(passwordFile);
  await writeFile(passwordFile, "second");
  await until(async () => (await problemOf(node)) === "ready\n", { what: "readiness", timeoutMs: 20_000 });
  await locks.unlock(await locks.lock("a"));
}, 60_000);

test("rights that are withdrawn: the server says so, and goes on once it has them again", async () => {
  await startEtcdWithUser();
  await users.turnOn();
  await using node = await startNode();
  using locks = new PlainLocks(node.url);
  await users.revoke("locks", "metasrv");
  const problem = 'etcd does not let the user "locks" read and write all keys under the prefix: grant its role that';
  await until(async () => (await problemOf(node)).includes(problem), { what: "the problem", timeoutMs: 15_000 });
  await users.grant("locks", all);
  await until(async () => (await problemOf(node)) === "ready\n", { what: "readiness", timeoutMs: 20_000 });
  await locks.unlock(await locks.lock("a"));
}, 60_000);

test("what keeps a server from starting is said at once", async () => {
  await startEtcdWithUser();
  await users.add("reader", "first", [{ permType: "Read", prefix: "metasrv" }]);
  await users.add("stranger", "first", [{ permType: "Readwrite", prefix: "metasrv-2" }]);
  await users.turnOn();
  const started = async (...args: string[]) => {
    const run = await startedInVain("--store-addrs", etcd.endpoint, ...args);
    expect(run.code).toBe(1);
    return run.said;
  };
  const by = (username: string, file = passwordFile) => ["--store-username", username, "--store-password-file", file];
  expect(await started()).toMatch(/error: etcd at .* cannot be used: etcd asks who this server is, and was not told/);
  expect(await started(...by("nobody"))).toContain('etcd has not the user "nobody", or another password for it');
  for (const name of ["reader", "stranger"]) {
    expect(await started(...by(name))).toContain(`etcd does not let the user "${name}" read and write all keys`);
  }
  await writeFile(passwordFile, "wrong");
  expect(await started(...by("locks"))).toContain("put the right one into");
  await writeFile(passwordFile, "\n");
  expect(await started(...by("locks"))).toContain(`${passwordFile} is empty`);
  expect(await started(...by("locks", join(folder, "none")))).toContain("ENOENT");
}, 90_000);

test("metasrv dump takes the same options, and says the same when it is refused", async () => {
  await startEtcdWithUser();
  await users.turnOn();
  await using node = await startNode();
  using locks = new PlainLocks(node.url);
  const lock = await locks.lock("a", { ttlMs: 60_000 });
  const dumped = await runMetasrv("dump", "--store-addrs", etcd.endpoint, ...account);
  expect([dumped.code, dumped.lines.length]).toEqual([0, 1]);
  expect(JSON.parse(dumped.lines[0] ?? "")).toMatchObject({ name: "a", token: String(lock.token) });
  await users.add("reader", "first", [{ permType: "Read", prefix: "metasrv" }]);
  const byReader = ["--store-username", "reader", "--store-password-file", passwordFile];
  const read = await runMetasrv("dump", "--store-addrs", etcd.endpoint, ...byReader);
  expect(read).toMatchObject({ code: 0, lines: dumped.lines });
  const refused = await runMetasrv("dump", "--store-addrs", etcd.endpoint);
  expect(refused.code).toBe(1);
  expect(refused.said).toContain("error: etcd asks who this server is, and was not told");
}, 60_000);

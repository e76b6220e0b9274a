import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { putEntry } from "./in-store.js";
import { PlainLocks } from "./plain-locks.js";
import { startedInVain } from "./started-in-vain.js";

// The exit code of a server that ends itself because it can no longer know who holds which lock.

const fatalExitCode = 70;

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

async function endsItself(server: Metasrv, because: RegExp): Promise<void> {
  expect((await server.exited).code).toBe(fatalExitCode);
  const fatal = server.logs.find(({ level }) => level === 60);
  expect(fatal?.msg).toContain("must not go on");
  expect((fatal?.err as { readonly message?: string } | undefined)?.message).toMatch(because);
}

test("locks of the first design under the prefix: a server refuses to start, and says which and what to do", async () => {
  const key = `metasrv/locks/orders/${"0123456789abcdef".repeat(2)}`;
  await store.put(key).value("x");
  const { code, said } = await startedInVain("--store-addrs", etcd.endpoint);
  expect(code).toBe(fatalExitCode);
  expect(said).toContain(key);
  expect(said).toMatch(
    /stop all servers of the earlier version, wait until their locks have expired, and delete the keys/,
  );

  // Under another prefix, and once they are gone, all is well.
  await using elsewhere = await startMetasrv({ store: etcd.endpoint, args: ["--store-key-prefix", "other"] });
  await store.delete().key(key);
  await using here = await startMetasrv({ store: etcd.endpoint });
  for (const { url } of [elsewhere, here]) {
    using locks = new PlainLocks(url);
    await locks.unlock(await locks.lock("orders"));
  }
});

test("an entry of a higher level: servers that run, and one that starts, end and say to upgrade", async () => {
  await using first = await startMetasrv({ store: etcd.endpoint });
  await using second = await startMetasrv({ store: etcd.endpoint });
  await putEntry(store, { level: 99 });
  await Promise.all([first, second].map((server) => endsItself(server, /level 99.*upgrade this server/)));
  const { code, said } = await startedInVain("--store-addrs", etcd.endpoint);
  expect(code).toBe(fatalExitCode);
  expect(said).toMatch(/level 99.*upgrade this server/);
});

test("an entry whose writer has another table: servers that run end themselves; one that starts reads the log anew", async () => {
  await using first = await startMetasrv({ store: etcd.endpoint });
  await using second = await startMetasrv({ store: etcd.endpoint });
  using locks = new PlainLocks(first.url);
  const held = await locks.lock("held", { ttlMs: 60_000 });
  const { header } = await store.kv.range({ key: Buffer.from("x") });
  await putEntry(store, { level: 1, seen: { revision: BigInt(header.revision), low: 1, high: 2 } });
  await Promise.all([first, second].map((server) => endsItself(server, /different tables/)));

  await using third = await startMetasrv({ store: etcd.endpoint });
  using others = new PlainLocks(third.url);
  expect(await others.state("held")).toMatchObject({ holderToken: held.token });
  await others.unlock(held);
});

test("an entry of a known level with a command that nobody knows: a server ends rather than skip it", async () => {
  await using node = await startMetasrv({ store: etcd.endpoint });
  // An entry of level 1. Its only command has field 15, with no bytes.
  await store.put(`metasrv/@/log/1/${"0".repeat(15)}1`).value(Buffer.of(0x08, 1, 0x2a, 2, 0x7a, 0));
  await endsItself(node, /a command that this version cannot read/);
});

afterAll(leakCheck());

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { Child, leakCheck, type Metasrv, startEtcd, startMetasrv, until } from "@metasrv/testing";

const built = fileURLToPath(new URL("../../packages/metasrv/", import.meta.url));

/** The folder of a build that knows level 1 only, as all did before there were other kinds than exclusive locks. */
let older: string;

beforeAll(async () => {
  // Beside the build, so that it finds the same packages.
  older = await mkdtemp(join(built, "older-build-"));
  await cp(join(built, "dist"), join(older, "dist"), { recursive: true });
  await cp(join(built, "bin"), join(older, "bin"), { recursive: true });
  const { version } = JSON.parse(await readFile(join(built, "package.json"), "utf8")) as { version: string };
  await writeFile(join(older, "package.json"), JSON.stringify({ version, type: "module" }));
  const file = join(older, "dist/model/command.js");
  const code = await readFile(file, "utf8");
  const known = /export const knownLevel = \d+;/u;
  expect(code).toMatch(known);
  await writeFile(file, code.replace(known, "export const knownLevel = 1;"));
});

afterAll(async () => {
  await rm(older, { recursive: true });
});
afterAll(leakCheck());

const program = (): string => join(older, "bin/metasrv.js");

function clientOf(server: Metasrv): MetaClient {
  return new MetaClient({ endpoints: [server.url], discover: false });
}

test("servers of two levels serve the same locks, and what is new works once the last old one is gone", async () => {
  await using etcd = await startEtcd();
  const store = etcd.endpoint;
  await using first = await startMetasrv({ store, program: program() });
  await using second = await startMetasrv({ store, program: program() });
  await using atFirst = clientOf(first);
  await using everywhere = new MetaClient({ endpoints: [first.url] });
  const held = await everywhere.lock("kept", { ttlMs: 30_000 });
  const old = await atFirst.lock("handed-over", { ttlMs: 30_000 });

  // The first one is upgraded: old and new take turns at a lock.
  await using upgraded = await startMetasrv({ store });
  await using atUpgraded = clientOf(upgraded);
  const waiting = atUpgraded.lock("handed-over", { ttlMs: 30_000 });
  await until(async () => (await atFirst.locks.get("handed-over")).waiters === 1, { what: "the old one to see it" });
  await old.release();
  const young = await waiting;
  expect(young.token).toBeGreaterThan(old.token);
  expect(await atFirst.tryLock("handed-over")).toBeNull();
  // Both refuse what the old ones would not understand.
  for (const client of [atFirst, atUpgraded]) {
    await expect(client.lock("x", { mode: "shared" })).rejects.toThrow(
      "a server of an older version is in the cluster",
    );
  }

  await first.stop();
  await expect(atUpgraded.lock("x", { mode: "shared" })).rejects.toThrow("upgrade all servers");
  await second.stop();
  const shared = async () => {
    return atUpgraded.lock("x", { mode: "shared" }).catch((error: unknown) => {
      expect(String(error)).toContain("a server of an older version is in the cluster");
      return undefined;
    });
  };
  let one = await shared();
  await until(async () => (one ??= await shared()) !== undefined, {
    what: "the level to be raised",
  });
  await using other = await startMetasrv({ store });
  await using atOther = clientOf(other);
  await using beside = await atOther.tryLock("x", { mode: "shared" });
  expect(beside?.held).toBe(true);
  expect(await atOther.tryLock("x")).toBeNull();
  // Holds of the old servers went on all the while.
  expect([await held.renew(), await young.renew()]).toEqual(["renewed", "renewed"]);
  expect(await atOther.tryLock("kept")).toBeNull();

  // An old one that comes back ends itself, rather than to skip what it does not know.
  const late = await Child.start({
    command: process.execPath,
    args: [program(), "start", "--bind-addr", "127.0.0.1:0", "--store-addrs", store],
    env: { PATH: process.env.PATH },
  });
  expect(await late.exited).toEqual({ code: 70, signal: null });
  expect(late.tail).toContain("upgrade this server");
  await young.release();
  await held.release();
  await one?.release();
}, 120_000);

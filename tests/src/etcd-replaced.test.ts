import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type HeldLock, MetaClient } from "@metasrv/meta-client";
import {
  type Etcd,
  leakCheck,
  type Metasrv,
  startEtcd,
  startMetasrv,
  startTcpProxy,
  type TcpProxy,
  until,
} from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { LockLoad } from "./lock-load.js";
import { PlainLocks } from "./plain-locks.js";

// Somebody restores a backup of etcd, or sets etcd up anew, while servers run. They reach etcd through a proxy, so that
// the test decides what has happened to etcd before they see it again.

let etcd: Etcd;
let proxy: TcpProxy;
let servers: readonly Metasrv[];
let backupDir: string;

beforeEach(async () => {
  etcd = await startEtcd();
  proxy = await startTcpProxy({ target: etcd.endpoint });
  backupDir = await mkdtemp(join(tmpdir(), "metasrv-backup-"));
  servers = await Promise.all([startMetasrv({ store: proxy.address }), startMetasrv({ store: proxy.address })]);
});

afterEach(async () => {
  for (const server of servers) {
    await server[Symbol.asyncDispose]();
  }
  await proxy[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
  await rm(backupDir, { recursive: true, force: true });
});

/** Copies etcd's data while it is stopped. */
async function backUp(): Promise<void> {
  await etcd.stop();
  await cp(etcd.dataDir, backupDir, { recursive: true });
  await etcd.restart();
}

/** Lets etcd go on with other data: with the copy, or with none. Servers see etcd again only when `changed` is done. */
async function replace(changed: () => Promise<void>, how: "restored" | "wiped"): Promise<void> {
  proxy.refuse();
  proxy.cut();
  await etcd.stop();
  await rm(etcd.dataDir, { recursive: true });
  if (how === "restored") {
    await cp(backupDir, etcd.dataDir, { recursive: true });
  }
  await etcd.restart();
  await changed();
  await proxy.accept();
}

async function noticed(server: Metasrv): Promise<void> {
  await server.waitForLog(
    ({ level, msg }) => level === 50 && String(msg).includes("etcd was restored, replaced or wiped"),
  );
  await server.waitForLog(({ msg }) => msg === "listed the store again");
}

async function tokenOf(locks: PlainLocks, name: string): Promise<bigint> {
  let token = 0n;
  await until(
    async () => {
      try {
        const grant = await locks.lock(name);
        await locks.unlock(grant);
        token = grant.token;
        return true;
      } catch {
        return false;
      }
    },
    { what: `a grant of ${name}` },
  );
  return token;
}

async function lost(lock: HeldLock): Promise<void> {
  await until(() => lock.signal.aborted, { what: "the holder to be told" });
}

/** Grants a lock at both servers several times, before and after etcd is replaced, and checks that tokens rise. */
async function tokensRiseOver(replaced: () => Promise<void>): Promise<void> {
  const all = servers.map(({ url }) => new PlainLocks(url));
  try {
    const before: bigint[] = [];
    for (let round = 0; round < 20; round++) {
      for (const locks of all) {
        before.push(await tokenOf(locks, "fenced"));
      }
    }
    await replaced();
    const after: bigint[] = [];
    for (const locks of all) {
      after.push(await tokenOf(locks, "fenced"));
    }
    for (let index = 1; index < before.length; index++) {
      expect(before[index]).toBeGreaterThan(before[index - 1] ?? 0n);
    }
    expect(after[0]).toBeGreaterThan(before.at(-1) ?? 0n);
    expect(after[1]).toBeGreaterThan(after[0] ?? 0n);
  } finally {
    for (const locks of all) {
      locks[Symbol.dispose]();
    }
  }
}

/** Locks can be taken, exclusively, at all servers. */
async function goesOn(): Promise<void> {
  await using load = new LockLoad({ endpoints: servers.map(({ url }) => [url]), workers: 16, locks: ["x", "y"] });
  await load.proceeds(100);
  expect(await load.stop()).toEqual([]);
  for (const server of servers) {
    expect(server.logs.some(({ level }) => level === 60)).toBe(false);
  }
}

/** Writes keys that are not metasrv's, until the store's revision is higher than what the servers have seen. */
async function overtake(revision: bigint): Promise<void> {
  const client = new Etcd3({ hosts: etcd.endpoint });
  for (;;) {
    const { header } = await client.put("elsewhere").value("x");
    if (BigInt(header.revision) > revision + 50n) {
      break;
    }
  }
  client.close();
}

async function revisionNow(): Promise<bigint> {
  const client = new Etcd3({ hosts: etcd.endpoint });
  const { header } = await client.put("elsewhere").value("x");
  client.close();
  return BigInt(header.revision);
}

describe.each(["behind", "ahead of"] as const)(
  "an etcd restored from a backup, and %s what servers have seen",
  (where) => {
    test("is noticed by each: holders of lost locks are told, others keep theirs, tokens rise, and all goes on", async () => {
      await using client = new MetaClient({ endpoints: servers.map(({ url }) => url), unavailableAfterMs: 20_000 });
      const kept = await client.lock("kept", { ttlMs: 60_000, keepAlive: true });
      await backUp();
      const gone = await client.lock("gone", { ttlMs: 60_000, keepAlive: true });
      await tokensRiseOver(async () => {
        const revision = await revisionNow();
        await replace(() => (where === "behind" ? Promise.resolve() : overtake(revision)), "restored");
        await Promise.all(servers.map(noticed));
      });
      await lost(gone);
      expect(await kept.renew()).toBe("renewed");
      expect(kept.signal.aborted).toBe(false);
      await kept.release();
      await goesOn();
    }, 90_000);
  },
);

describe("an etcd that was wiped", () => {
  test("under running servers is noticed by each: holders are told, tokens rise, and all goes on", async () => {
    await using client = new MetaClient({ endpoints: servers.map(({ url }) => url), unavailableAfterMs: 20_000 });
    const gone = await client.lock("gone", { ttlMs: 60_000, keepAlive: true });
    await tokensRiseOver(async () => {
      await replace(() => Promise.resolve(), "wiped");
      await Promise.all(servers.map(noticed));
    });
    await lost(gone);
    await goesOn();
  }, 90_000);

  test("while no server runs: tokens rise", async () => {
    await tokensRiseOver(async () => {
      const addresses = servers.map(({ address }) => address);
      for (const server of servers) {
        expect(await server.stop()).toBe(0);
      }
      await replace(() => Promise.resolve(), "wiped");
      servers = await Promise.all(
        addresses.map((address) => startMetasrv({ store: proxy.address, args: ["--bind-addr", address] })),
      );
    });
    await goesOn();
  }, 90_000);
});

describe("an etcd restored in the middle of load", () => {
  test("grants no token that is lower than one before, and nothing twice", async () => {
    const locks = ["a", "b", "c", "d"];
    await using load = new LockLoad({ endpoints: servers.map(({ url }) => [url]), workers: 20, locks });
    await load.proceeds(100);
    await backUp();
    await load.proceeds(200);
    await replace(() => Promise.resolve(), "restored");
    await Promise.all(servers.map(noticed));
    await load.proceeds(200);
    expect(await load.stop()).toEqual([]);
    for (const server of servers) {
      expect(server.logs.some(({ level }) => level === 60)).toBe(false);
    }
  }, 90_000);
});

afterAll(leakCheck());

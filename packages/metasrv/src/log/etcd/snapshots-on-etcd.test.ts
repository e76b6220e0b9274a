import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd, until } from "@metasrv/testing";
import { gatherByEventLoop, systemClock as clock } from "@metasrv/wire";
import { pino } from "pino";
import { tokenOfKey } from "../../../test-support/told.js";
import { readTickets } from "../../dump.js";
import { Fold } from "../../fold/fold.js";
import { knownLevel } from "../../model/command.js";
import { defaultLimits } from "../../model/limits.js";
import { LockNode } from "../../node/lock-node.js";
import { decodeBase, type StoredBase } from "../snapshot-codec.js";
import { EtcdLog } from "./etcd-log.js";
import { LogKeys } from "./keys.js";
import { createEtcdClient } from "./rpc/connected-etcd-client.js";
import type { EtcdClient } from "./rpc/etcd-client.js";

// Snapshots as a real etcd has them, with a log that may grow to 20 kB instead of 32 MiB.

const keys = new LogKeys("metasrv");
const timeoutMs = 10_000;

let etcd: Etcd;
let client: EtcdClient;

beforeEach(async () => {
  etcd = await startEtcd();
  client = createEtcdClient({ hosts: [etcd.endpoint], clock });
});

afterEach(async () => {
  client.close();
  await etcd[Symbol.asyncDispose]();
});

interface Running extends AsyncDisposable {
  readonly node: LockNode;
  readonly fold: Fold;
}

async function start(): Promise<Running> {
  const ownClient = createEtcdClient({ hosts: [etcd.endpoint], clock });
  const logger = pino({ level: "silent" });
  const fold = new Fold();
  const log = new EtcdLog({
    client: ownClient,
    keys,
    clock,
    logger,
    hosts: [etcd.endpoint],
    txn: (txn) => ownClient.txn(txn, timeoutMs),
    gather: gatherByEventLoop,
    random: Math.random,
    unixMs: Date.now,
    checkMs: 1_000,
    maxInFlight: 4,
    minLogBytes: 20_000,
    knownLevel,
    fatal: (error) => {
      throw error;
    },
    connectTimeoutMs: timeoutMs,
    requestTimeoutMs: timeoutMs,
    memberTtlSeconds: 10,
    quotaBytes: 2 * 1024 ** 3,
  });
  const node = new LockNode({ log, clock, limits: defaultLimits, logger, fold });
  await node.start({ address: "here:1", version: "0", startedUnixMs: 0 });
  return { node, fold, [Symbol.asyncDispose]: () => node.stop() };
}

function lock({ node }: Running, name: string): Promise<Uint8Array> {
  return new Promise((resolve, failed) => {
    node.claim(
      { name: Buffer.from(name), ttlMs: 120_000, owner: `owner of ${name}` },
      {
        granted: ({ key }) => {
          resolve(key);
        },
        failed,
        refused: () => {
          failed(new Error("refused"));
        },
        lost: () => undefined,
      },
    );
  });
}

async function baseNow(): Promise<StoredBase> {
  const [kv] = (await client.range({ key: keys.base }, timeoutMs)).kvs;
  return decodeBase(kv?.value ?? Buffer.of());
}

/** Takes locks, one after the other, until there is another snapshot, and all that it covers is trimmed. */
async function untilSnapshot(running: Running, held: Map<string, Uint8Array>): Promise<StoredBase> {
  const before = await baseNow();
  let base = before;
  while (base.snapshot === before.snapshot) {
    for (let count = 0; count < 20; count++) {
      const name = `lock-${held.size}`;
      held.set(name, await lock(running, name));
    }
    base = await baseNow();
  }
  await until(
    async () => {
      const entries = await client.range({ ...keys.entries, keysOnly: true }, timeoutMs);
      const chunks = await client.range({ ...keys.snapshots, keysOnly: true }, timeoutMs);
      return entries.kvs.every(({ modRevision }) => modRevision > base.revision) && chunks.kvs.length === base.chunks;
    },
    { what: "what the snapshot covers to be trimmed" },
  );
  return base;
}

test("a snapshot is written and the log trimmed; a server that starts again, and one that joins, have all tickets", async () => {
  const held = new Map<string, Uint8Array>();
  {
    await using first = await start();
    const base = await untilSnapshot(first, held);
    expect(base.chunks).toBeGreaterThan(0);
    expect(base.hashLow + base.hashHigh).toBeGreaterThan(0);
    // Some go, some come after it, and it is not the last.
    for (const name of ["lock-0", "lock-7"]) {
      await first.node.unlock(held.get(name) ?? new Uint8Array());
      held.delete(name);
    }
    held.set("late-0", await lock(first, "late-0"));
    held.set("late-1", await lock(first, "late-1"));
    expect((await untilSnapshot(first, held)).revision).toBeGreaterThan(base.revision);
  }
  await using again = await start();
  await using joined = await start();
  for (const { node, fold } of [again, joined]) {
    expect(fold.size).toBe(held.size);
    for (const [name, key] of held) {
      const state = { holderToken: tokenOfKey(key), holderOwner: `owner of ${name}`, waiters: 0 };
      expect(node.state(Buffer.from(name))).toMatchObject(state);
    }
  }
  expect(await readTickets({ hosts: [etcd.endpoint], prefix: "metasrv", timeoutMs })).toHaveLength(held.size);
  // Their keys open them still, at either.
  for (const [index, key] of [...held.values()].entries()) {
    await (index % 2 === 0 ? again : joined).node.unlock(key);
  }
  expect(await readTickets({ hosts: [etcd.endpoint], prefix: "metasrv", timeoutMs })).toEqual([]);
}, 60_000);

test("two servers stay of one table while they work and one writes snapshot after snapshot", async () => {
  await using first = await start();
  await using second = await start();
  const seen = new Set<string>();
  const work = async (running: Running, worker: number): Promise<void> => {
    while (seen.size < 5) {
      await running.node.unlock(await lock(running, `busy-${worker}`));
      const { snapshot } = await baseNow();
      if (snapshot !== "") {
        seen.add(snapshot);
      }
    }
  };
  await Promise.all(
    [first, second].flatMap((running, index) =>
      Array.from({ length: 10 }, (_, worker) => work(running, worker + index * 5)),
    ),
  );
  await until(() => first.fold.hash.revision === second.fold.hash.revision, { what: "both to be as far" });
  expect(first.fold.hash).toEqual(second.fold.hash);
  expect(first.fold.size).toBe(0);
}, 60_000);

afterAll(leakCheck());

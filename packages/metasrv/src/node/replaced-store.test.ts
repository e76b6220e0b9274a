import { afterEach, describe, expect, test } from "@jest/globals";
import { pino } from "pino";
import { type FakeEtcd, noAnswer, promptly } from "../../test-support/fake-etcd.js";
import { goOn, LogStage, type LogStageOptions } from "../../test-support/log-stage.js";
import { tokenOfKey } from "../../test-support/told.js";
import { defaultLimits } from "../model/limits.js";
import type { LockError } from "../model/lock-errors.js";
import type { ClaimRequest } from "./claim.js";
import { LockNode } from "./lock-node.js";

const nodes: { readonly node: LockNode; readonly stage: LogStage }[] = [];

async function start(options: LogStageOptions = {}): Promise<{ readonly node: LockNode; readonly stage: LogStage }> {
  const stage = new LogStage(options);
  const node = new LockNode({
    log: stage.log,
    clock: stage.clock,
    limits: defaultLimits,
    logger: pino({ level: "silent" }),
  });
  nodes.push({ node, stage });
  await node.start({ address: "here:1", version: "0", startedUnixMs: 0 });
  await goOn();
  return { node, stage };
}

afterEach(async () => {
  for (const { node, stage } of nodes.splice(0)) {
    stage.etcd.behaviour = promptly;
    const stopped = node.stop();
    await stage.clock.advance(10_000);
    await stopped;
    expect(stage.fatal).toEqual([]);
  }
});

/** What becomes of a request. */
interface Asked {
  key?: Uint8Array;
  error?: LockError;
  lost?: string;
}

function ask(node: LockNode, lock: string, request: Partial<ClaimRequest> = {}): Asked {
  const asked: Asked = {};
  try {
    node.claim(
      { name: Buffer.from(lock), ttlMs: 60_000, ...request },
      {
        granted: ({ key }) => (asked.key = key),
        refused: () => undefined,
        failed: (error) => (asked.error = error),
        lost: (reason) => (asked.lost = reason),
      },
    );
  } catch (error) {
    asked.error = error as LockError;
  }
  return asked;
}

/** Asks, with the same ticket, until there is a grant, as clients do. */
async function insist({ node, stage }: (typeof nodes)[number], lock: string, n: number): Promise<bigint> {
  const ticketId = Buffer.alloc(16, n);
  for (let attempt = 0; attempt < 100; attempt++) {
    const asked = ask(node, lock, { ticketId, attempt });
    await goOn();
    await stage.clock.advance(100);
    await goOn();
    if (asked.key !== undefined) {
      return tokenOfKey(asked.key);
    }
  }
  throw new Error("there was no grant");
}

/** Locks were taken and given back. @returns the highest token */
async function use({ node }: (typeof nodes)[number], locks: readonly string[]): Promise<bigint> {
  let highest = 0n;
  for (const lock of locks) {
    const first = ask(node, lock);
    await goOn();
    const second = ask(node, lock);
    await node.unlock(first.key ?? new Uint8Array());
    await goOn();
    const key = second.key ?? new Uint8Array();
    highest = tokenOfKey(key);
    await node.unlock(key);
  }
  return highest;
}

describe("a store that took the place of one that was further", () => {
  const locks = ["a", "b", "c", "d"];

  test("tells its holders that their locks are lost, or that they may be served elsewhere", async () => {
    const { node, stage } = await start();
    const backup = stage.etcd.backup();
    const held = ask(node, "held");
    await goOn();
    stage.etcd.restore(backup);
    await stage.clock.advance(5_000);
    expect(held.lost).toBeDefined();
    expect(node.state(Buffer.from("held")).holderToken).toBe(0n);
  });

  test("is asked by the same member before it has noticed: no lower token is told, however often it is asked", async () => {
    const one = await start();
    const { etcd, clock } = one.stage;
    const backup = etcd.backup();
    const highest = await use(one, locks);
    etcd.behaviour = () => Promise.reject(noAnswer());
    for (const [n, lock] of locks.entries()) {
      ask(one.node, lock, { ticketId: Buffer.alloc(16, n) });
    }
    await goOn();
    etcd.restore(backup);
    etcd.behaviour = promptly;
    await goOn();
    for (const [n, lock] of locks.entries()) {
      expect(await insist(one, lock, n)).toBeGreaterThan(highest);
    }
    await clock.advance(1_000);
  });

  test("has entries of a server that notices late: no lower token is told of those, neither there nor elsewhere", async () => {
    const one = await start();
    const { etcd, clock } = one.stage;
    let lists = true;
    const range: FakeEtcd["range"] = (...call) => (lists ? etcd.range(...call) : Promise.reject(noAnswer()));
    const late = await start({ etcd, clock, range });
    const backup = etcd.backup();
    const highest = await use(one, locks);
    etcd.holdWatches();
    etcd.restore(backup);
    lists = false;
    for (const [n, lock] of locks.entries()) {
      ask(late.node, lock, { ticketId: Buffer.alloc(16, n) });
    }
    await goOn();
    etcd.releaseWatches();
    await clock.advance(3_000);
    for (const [n, lock] of locks.slice(0, 2).entries()) {
      expect(await insist(one, lock, n)).toBeGreaterThan(highest);
    }
    lists = true;
    await clock.advance(3_000);
    for (const [n, lock] of locks.slice(2).entries()) {
      expect(await insist(late, lock, 2 + n)).toBeGreaterThan(highest);
    }
  });
});

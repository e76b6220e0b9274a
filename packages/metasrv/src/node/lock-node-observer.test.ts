import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import pino from "pino";
import { createMemoryLog } from "../log/memory-log.js";
import { defaultLimits } from "../model/limits.js";
import type { ClaimRequest, Grant } from "./claim.js";
import { LockNode } from "./lock-node.js";
import type { NodeObserver } from "./node-observer.js";

const fatal = (error: Error) => {
  throw error;
};

async function observed(limits = {}) {
  const told: string[] = [];
  const clock = new ManualClock();
  const observer: NodeObserver = {
    meterOf: () => ({
      ended: (outcome) => told.push(outcome),
      granted: ({ permits }, waitedMs) => told.push(`granted ${permits} after ${waitedMs}`),
      holdEnded: (_, how, heldMs) => told.push(`${how} after ${Math.round(heldMs)}`),
      limitMismatch: () => told.push("mismatch"),
    }),
    rejected: () => told.push("rejected"),
    deadlock: () => told.push("deadlock"),
  };
  const logger = pino({ level: "silent" });
  const log = createMemoryLog({ fatal });
  const node = new LockNode({ log, clock, limits: { ...defaultLimits, ...limits }, logger, observer });
  await node.start({ address: "a:1", version: "0", startedUnixMs: 0 });
  const ask = async (request: Partial<ClaimRequest> = {}) => {
    const grants: Grant[] = [];
    const claim = node.claim(
      { name: Buffer.from("orders/1"), ...request },
      {
        granted: (grant) => grants.push(grant),
        refused: () => undefined,
        failed: () => undefined,
        lost: () => undefined,
      },
    );
    await settled();
    return { claim, grants };
  };
  return { node, clock, told, ask };
}

describe("an observer of a node is told of", () => {
  test("a grant, a release, and the grant to the next with its wait", async () => {
    const { clock, told, ask } = await observed();
    const first = await ask();
    await ask();
    await clock.advance(250);
    await first.claim.release();
    await settled();
    expect(told).toEqual(["granted 1 after 0", "released after 250", "granted 1 after 250"]);
  });

  test("a refusal, a time-out, a cancellation and a request that was wrong", async () => {
    const { clock, told, ask } = await observed();
    await ask();
    await ask({ waitMs: 0 });
    await ask({ waitMs: 100 });
    await clock.advance(100);
    (await ask()).claim.cancel();
    (await ask()).claim.detach();
    await expect(ask({ name: Buffer.from("") })).rejects.toThrow("empty");
    await settled();
    expect(told).toEqual(["granted 1 after 0", "refused", "timed_out", "cancelled", "cancelled", "rejected"]);
  });

  test("a hold that expires, one that an operator ends, and one that is given back by its key", async () => {
    const { node, clock, told, ask } = await observed();
    await ask({ ttlMs: 1_000 });
    await clock.advance(1_000);
    await settled();
    const { grants } = await ask();
    await node.force("orders/1" as never, grants[0]?.token ?? 0n, { actor: "me", reason: "test" }, false);
    await settled();
    const { grants: last } = await ask();
    await node.unlock(last[0]?.key ?? new Uint8Array());
    await settled();
    expect(told.filter((what) => !what.startsWith("granted"))).toEqual([
      "expired after 1000",
      "forced after 0",
      "released after 0",
    ]);
  });

  test("a renewal as no end, and the end of the node as a move", async () => {
    const { node, clock, told, ask } = await observed();
    const { claim } = await ask();
    await clock.advance(5_000);
    await claim.renew({});
    await clock.advance(6_000);
    await settled();
    await node.stop();
    expect(told).toEqual(["granted 1 after 0", "moved after 11000"]);
  });

  test("a semaphore of which another says that it has fewer permits", async () => {
    const { told, ask } = await observed();
    await ask({ share: { permits: 1, limit: 3 } });
    await ask({ share: { permits: 1, limit: 5 } });
    expect(told).toEqual(["granted 1 after 0", "granted 1 after 0", "mismatch"]);
  });

  test("a deadlock", async () => {
    const { told, ask } = await observed();
    const a = await ask({ name: Buffer.from("a") });
    const b = await ask({ name: Buffer.from("b") });
    const [tokenA = 0n, tokenB = 0n] = [a.grants[0]?.token, b.grants[0]?.token];
    await ask({ name: Buffer.from("b"), within: [{ name: Buffer.from("a"), token: tokenA }] });
    await ask({ name: Buffer.from("a"), within: [{ name: Buffer.from("b"), token: tokenB }] });
    expect(told.at(-1)).toBe("deadlock");
  });
});

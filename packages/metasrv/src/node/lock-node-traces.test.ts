import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import pino from "pino";
import { createMemoryLog } from "../log/memory-log.js";
import { defaultLimits } from "../model/limits.js";
import { shared } from "../model/ticket-content.js";
import type { ClaimRequest, Grant } from "./claim.js";
import { LockNode } from "./lock-node.js";

const fatal = (error: Error) => {
  throw error;
};

function traceparent(digit: string): string {
  return `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;
}

async function traced() {
  const clock = new ManualClock();
  const log = createMemoryLog({ fatal });
  const node = new LockNode({ log, clock, limits: defaultLimits, logger: pino({ level: "silent" }) });
  await node.start({ address: "a:1", version: "0", startedUnixMs: 0 });
  const ask = async (request: Partial<ClaimRequest> = {}) => {
    const grants: Grant[] = [];
    const ignore = () => undefined;
    const listener = { granted: (grant: Grant) => grants.push(grant), refused: ignore, failed: ignore, lost: ignore };
    const claim = node.claim({ name: Buffer.from("orders/1"), ...request }, listener);
    await settled();
    return { claim, unblockedBy: () => grants.map((grant) => grant.unblockedBy) };
  };
  return { clock, ask };
}

describe("a grant has the traceparent of the request that gave way to it", () => {
  test("by a release", async () => {
    const { ask } = await traced();
    const first = await ask({ traceparent: traceparent("1") });
    const second = await ask({ traceparent: traceparent("2") });
    const third = await ask({ traceparent: traceparent("3") });
    await first.claim.release();
    await settled();
    await second.claim.release();
    await settled();
    expect(first.unblockedBy()).toEqual([undefined]);
    expect(second.unblockedBy()).toEqual([traceparent("1")]);
    expect(third.unblockedBy()).toEqual([traceparent("2")]);
  });

  test("by the end of its TTL, all of those that get in", async () => {
    const { clock, ask } = await traced();
    await ask({ traceparent: traceparent("1"), ttlMs: 1_000 });
    const readers = [
      await ask({ traceparent: traceparent("2"), share: shared }),
      await ask({ traceparent: traceparent("3"), share: shared }),
    ];
    await clock.advance(1_000);
    await settled();
    expect(readers.map((reader) => reader.unblockedBy())).toEqual([[traceparent("1")], [traceparent("1")]]);
  });

  test("only if both have one", async () => {
    const { ask } = await traced();
    const first = await ask({ traceparent: traceparent("1") });
    const second = await ask();
    const third = await ask({ traceparent: traceparent("3") });
    await first.claim.release();
    await settled();
    await second.claim.release();
    await settled();
    expect([second.unblockedBy(), third.unblockedBy()]).toEqual([[undefined], [undefined]]);
  });
});

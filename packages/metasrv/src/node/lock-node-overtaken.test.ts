import { describe, expect, test } from "@jest/globals";
import { createElsewhere, nodeOfThree, stored } from "../../test-support/node-fixture.js";

/** Member n2 serves the ticket, holds it and has told so; the request here is older and only now gets through. */
async function overtaken({ attempt, waitMs }: { readonly attempt: number; readonly waitMs?: number }) {
  const node = await nodeOfThree();
  node.log.manual = true;
  const asked = node.ask({ ticket: 1, ...(waitMs !== undefined && { waitMs }) });
  createElsewhere(node.log, 1, "n2", undefined, attempt);
  node.log.deliver();
  return { node, asked };
}

describe("a request that is overtaken by its requester's move to another member", () => {
  test.each(["cancel", "detach"] as const)("and was given up (%s): takes nothing from that member", async (how) => {
    const { node, asked } = await overtaken({ attempt: 1 });
    asked.claim[how]();
    node.log.manual = false;
    await node.log.runPending();
    await node.clock.advance(60_000);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n2", attempt: 1 });
    expect([asked.told, node.store.size]).toEqual([[], 0]);
  });

  test("and has run out of time: takes nothing from that member", async () => {
    const { node, asked } = await overtaken({ attempt: 1, waitMs: 300 });
    await node.clock.advance(300);
    node.log.manual = false;
    await node.log.runPending();
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n2", attempt: 1 });
  });
});

describe("a request that takes over what its requester may have been told of elsewhere", () => {
  test("and whose outcome is known too late: leaves the hold its TTL", async () => {
    const { node, asked } = await overtaken({ attempt: 0 });
    node.log.take("create").late().done();
    node.log.manual = false;
    await node.clock.advance(9_999);
    expect(asked.told).toEqual(["failed: store-unavailable"]);
    expect(stored(node.log, 1).memberId).toBe("n1");
    await node.clock.advance(1);
    expect([node.log.tickets, node.store.size]).toEqual([[], 0]);
  });

  test.each(["cancel", "detach"] as const)("and is given up (%s): leaves the hold its TTL", async (how) => {
    const { node, asked } = await overtaken({ attempt: 0 });
    asked.claim[how]();
    node.log.take("create").done();
    node.log.manual = false;
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).memberId).toBe("n1");
    await node.clock.advance(60_000);
    expect([asked.told, node.log.tickets, node.store.size]).toEqual([[], [], 0]);
  });
});

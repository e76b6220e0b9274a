import { describe, expect, test } from "@jest/globals";
import { settled } from "../../test-support/manual-clock.js";
import { createElsewhere, nodeOfThree, stored } from "../../test-support/node-fixture.js";
import { deliveryOrders } from "../../test-support/scripted-ticket-log.js";

describe.each(deliveryOrders)("a request that is overtaken by its requester's move to another member (%s)", (order) => {
  /** Member n2 serves the ticket, holds it and has told so; the request here is older and only now gets through. */
  async function overtaken(waitMs?: number) {
    const node = await nodeOfThree();
    node.log.order = order;
    node.log.manual = true;
    const asked = node.ask({ ticket: 1, ...(waitMs !== undefined && { waitMs }) });
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    return { node, asked, held };
  }

  test.each(["cancel", "detach"] as const)("and was given up (%s): takes nothing from that member", async (how) => {
    const { node, asked, held } = await overtaken();
    asked.claim[how]();
    node.log.manual = false;
    await node.log.runPending();
    await node.clock.advance(60_000);
    expect(stored(node.log, 1)).toEqual(held);
    expect(node.store.size).toBe(0);
  });

  test("and has run out of time: takes nothing from that member", async () => {
    const { node, asked, held } = await overtaken(300);
    await node.clock.advance(300);
    node.log.manual = false;
    await node.log.runPending();
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    expect(stored(node.log, 1)).toEqual(held);
  });

  test("and fails after it took the ticket over: leaves the hold its TTL, for it may have been told", async () => {
    const { node } = await overtaken();
    node.log.take("create").answer();
    await settled();
    const update = node.log.take("update").commit();
    node.log.deliver();
    update.fail();
    await settled();
    node.log.manual = false;
    await node.log.runPending();
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).ticket.memberId).toBe("n1");
    await node.clock.advance(60_000);
    expect([node.log.store.tickets, node.store.size]).toEqual([[], 0]);
  });

  test("and is given up after it took the ticket over: leaves the hold its TTL, for it may have been told", async () => {
    const { node, asked } = await overtaken();
    node.log.take("create").answer();
    await settled();
    node.log.take("update").answer();
    await settled();
    asked.claim.detach();
    node.log.manual = false;
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).ticket.memberId).toBe("n1");
    await node.clock.advance(60_000);
    expect([node.log.store.tickets, node.store.size]).toEqual([[], 0]);
  });
});

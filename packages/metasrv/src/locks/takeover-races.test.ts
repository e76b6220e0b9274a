import { describe, expect, test } from "@jest/globals";
import { settled } from "../../test-support/manual-clock.js";
import {
  adoptElsewhere,
  id,
  leadingNode,
  lock,
  orders,
  removeElsewhere,
  stored,
  ticketOf,
} from "../../test-support/node-fixture.js";
import { deliveryOrders } from "../../test-support/scripted-ticket-log.js";

describe.each(deliveryOrders)("a takeover (%s)", (order) => {
  test("of a wait whose turn has come within the grace still removes it: nobody was told", async () => {
    const { node, log, clock } = await leadingNode();
    log.order = order;
    const next = await node.asked();
    removeElsewhere(log, 1);
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(60_000);
    expect(next.told).toEqual(["granted", "lost: expired"]);
  });

  test("does not outrun the requester who comes back for a hold: it is told, once", async () => {
    const { node, log, clock } = await leadingNode();
    log.order = order;
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    const adoption = log.take("update");
    const back = node.ask({ ticket: 1 });
    log.run(log.take("create"));
    await settled();
    log.run(adoption);
    await settled();
    log.manual = false;
    await log.runPending();
    await settled();
    expect(back.told).toEqual(["granted"]);
    await clock.advance(10_000);
    expect(back.told).toEqual(["granted", "lost: expired"]);
  });

  test("of a hold whose requester came back and went again still ends it", async () => {
    const { node, log, clock } = await leadingNode();
    log.order = order;
    removeElsewhere(log, 2);
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    const adoption = log.take("update");
    const back = node.ask({ ticket: 1 });
    back.claim.detach();
    log.run(adoption);
    await settled();
    log.manual = false;
    await log.runPending();
    await clock.advance(60_000);
    expect(log.store.tickets).toEqual([]);
  });

  test("does not take from another member what its requester has brought there meanwhile", async () => {
    const { node, log } = await leadingNode();
    log.order = order;
    const names = Array.from({ length: 2_000 }, (_, index) => lock(`held-${index}`));
    for (const name of names) {
      log.elsewhere({ kind: "create", name, id: id(1), ticket: ticketOf("n2"), onlyIfFree: false });
    }
    log.deliver();
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    for (const name of names) {
      adoptElsewhere(log, 1, "n3", name);
    }
    log.deliver();
    await log.runPending();
    expect(names.filter((name) => stored(log, 1, name).ticket.memberId !== "n3")).toEqual([]);
    expect(node.store.size).toBeLessThan(2);
  });

  test("whose purge comes just too late looks again: what has changed may still be left by a member that is gone", async () => {
    const { log, clock } = await leadingNode();
    log.order = order;
    log.memberGoes("n2");
    log.deliver();
    await settled();
    log.manual = true;
    await clock.advance(3_000);
    adoptElsewhere(log, 2, "n3");
    log.memberGoes("n3");
    log.deliver();
    await settled();
    log.manual = false;
    await log.runPending();
    await clock.advance(60_000);
    expect(log.store.get(orders, id(2))).toBeUndefined();
  });

  test("gives a wait that was elsewhere within the grace, and is left there too, the grace anew", async () => {
    const { log, clock } = await leadingNode();
    log.order = order;
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(2_000);
    adoptElsewhere(log, 2, "n3");
    log.deliver();
    log.memberGoes("n3");
    log.deliver();
    await clock.advance(2_999);
    expect(stored(log, 2).ticket.memberId).toBe("n3");
    await clock.advance(1);
    expect(log.store.get(orders, id(2))).toBeUndefined();
  });

  test("that the store interrupts goes on", async () => {
    const { log, clock } = await leadingNode();
    log.order = order;
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    log.take("update").fail();
    await settled();
    log.manual = false;
    await clock.advance(1_000);
    expect(stored(log, 1).ticket.memberId).toBe("n1");
    await clock.advance(60_000);
    expect(log.store.tickets).toEqual([]);
  });

  test("whose purge the store interrupts goes on", async () => {
    const { log, clock } = await leadingNode();
    log.order = order;
    log.memberGoes("n2");
    log.deliver();
    await settled();
    log.manual = true;
    await clock.advance(3_000);
    log.take("delete").fail();
    await settled();
    log.manual = false;
    await clock.advance(60_000);
    expect(log.store.tickets).toEqual([]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  adoptElsewhere,
  createElsewhere,
  id,
  leadingNode,
  lock,
  orders,
  removeElsewhere,
  stored,
} from "../../test-support/node-fixture.js";

describe("a takeover", () => {
  test("of a wait whose turn has come within the grace still removes it: nobody was told", async () => {
    const { node, log, clock } = await leadingNode();
    const next = await node.asked();
    removeElsewhere(log, 1);
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(60_000);
    expect(next.told).toEqual(["granted", "lost: expired"]);
  });

  test("does not outrun the requester who comes back for a hold: it is told, once", async () => {
    const { node, log, clock } = await leadingNode();
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    const adoption = log.take("adopt");
    const back = node.ask({ ticket: 1 });
    log.take("create").done();
    await settled();
    adoption.done();
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
    removeElsewhere(log, 2);
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    const adoption = log.take("adopt");
    const back = node.ask({ ticket: 1 });
    back.claim.detach();
    adoption.done();
    await settled();
    log.manual = false;
    await log.runPending();
    await clock.advance(60_000);
    expect(log.tickets).toEqual([]);
  });

  test("does not take from another member what its requester has brought there meanwhile", async () => {
    const { node, log } = await leadingNode();
    const names = Array.from({ length: 2_000 }, (_, index) => lock(`held-${index}`));
    for (const name of names) {
      createElsewhere(log, 1, "n2", name);
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
    expect(names.filter((name) => stored(log, 1, name).memberId !== "n3")).toEqual([]);
    expect(node.store.size).toBeLessThan(2);
  });

  test("whose purge comes just too late looks again: what has changed may still be left by a member that is gone", async () => {
    const { log, clock } = await leadingNode();
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
    expect(log.written.get({ name: orders, id: id(2) })).toBeUndefined();
  });

  test("gives a wait that was elsewhere within the grace, and is left there too, the grace anew", async () => {
    const { log, clock } = await leadingNode();
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(2_000);
    adoptElsewhere(log, 2, "n3");
    log.deliver();
    log.memberGoes("n3");
    log.deliver();
    await clock.advance(2_999);
    expect(stored(log, 2).memberId).toBe("n3");
    await clock.advance(1);
    expect(log.written.get({ name: orders, id: id(2) })).toBeUndefined();
  });

  test("that the store interrupts goes on", async () => {
    const { log, clock } = await leadingNode();
    log.manual = true;
    log.memberGoes("n2");
    log.deliver();
    log.take("adopt").fail();
    await settled();
    log.manual = false;
    await clock.advance(1_000);
    expect(stored(log, 1).memberId).toBe("n1");
    await clock.advance(60_000);
    expect(log.tickets).toEqual([]);
  });

  test("whose purge the store interrupts goes on", async () => {
    const { log, clock } = await leadingNode();
    log.memberGoes("n2");
    log.deliver();
    await settled();
    log.manual = true;
    await clock.advance(3_000);
    log.take("remove").fail();
    await settled();
    log.manual = false;
    await clock.advance(60_000);
    expect(log.tickets).toEqual([]);
  });
});

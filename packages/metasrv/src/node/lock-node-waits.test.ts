import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { removeElsewhere, scriptedNode, stored } from "../../test-support/node-fixture.js";
import { stateOf } from "../../test-support/told.js";

describe("a bounded wait", () => {
  test("ends with who holds and how many wait, and leaves nothing behind", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ owner: "me" });
    await node.asked();
    const asked = await node.asked({ waitMs: 250 });
    await node.clock.advance(249);
    expect(asked.told).toEqual([]);
    await node.clock.advance(1);
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    const [error] = asked.errors;
    expect(error?.message).toContain("not granted within 250 ms");
    expect(error?.message).toContain(`held by "me" (fencing token ${holder.grant.token.toString()}`);
    expect(error?.message).toContain(
      "for at least 0 s), and 2 wait for it, this request included, 1 of them before it",
    );
    expect(error?.state).toMatchObject({
      ...stateOf("me", holder.grant.token, 2),
      holders: [{ owner: "me", token: holder.grant.token, permits: 1, heldMs: 250 }],
      position: 2,
    });
    expect([node.store.size, node.log.tickets.length]).toEqual([2, 2]);
  });

  test("does not blame a holder when none is known", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask({ waitMs: 250 });
    await node.clock.advance(250);
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    expect(asked.errors[0]?.message).not.toContain("held by");
  });

  test("that ends before the ticket is committed removes it afterwards", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask({ waitMs: 250 });
    await node.clock.advance(250);
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    expect([node.store.size, node.log.tickets.length]).toEqual([0, 0]);
  });

  test("is over with the grant", async () => {
    const node = await scriptedNode();
    const asked = await node.asked({ waitMs: 250 });
    await node.clock.advance(250);
    expect(asked.told).toEqual(["granted"]);
  });
});

describe("cancel", () => {
  test("before the ticket is committed: it is removed once it is, and never granted", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    asked.claim.cancel();
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    expect(asked.told).toEqual([]);
    expect([node.store.size, node.log.tickets.length]).toEqual([0, 0]);
  });

  test("while waiting: it is removed, and those behind it move up", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    const asked = await node.asked();
    const next = await node.asked();
    asked.claim.cancel();
    asked.claim.cancel();
    await settled();
    expect(node.store.state(Buffer.from("orders")).waiters).toBe(1);
    await node.store.unlock(holder.grant.key);
    expect([asked.told, next.told]).toEqual([[], ["granted"]]);
  });

  test("while its removal is under way the ticket is not granted", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1 });
    const asked = await node.asked();
    node.log.manual = true;
    asked.claim.cancel();
    removeElsewhere(node.log, 1);
    node.log.deliver();
    expect([holder.told, asked.told]).toEqual([["granted", "lost: released"], []]);
    node.log.take("remove").done();
    expect(node.log.tickets).toEqual([]);
  });

  test("after the grant: the hold stays until its TTL has passed, and nothing is told any more", async () => {
    const node = await scriptedNode();
    const asked = await node.asked({ ttlMs: 1_000 });
    asked.claim.cancel();
    await node.clock.advance(999);
    await expect(node.store.renew(asked.grant.key)).resolves.toBe(1_000);
    await node.clock.advance(1_000);
    expect(asked.told).toEqual(["granted"]);
    expect(node.log.tickets).toEqual([]);
  });
});

describe("detach", () => {
  test("ends the wait at once if the requester does not know the ticket id", async () => {
    const node = await scriptedNode();
    await node.asked();
    const asked = await node.asked();
    asked.claim.detach();
    await settled();
    expect([asked.told, node.store.size, node.log.tickets.length]).toEqual([[], 1, 1]);
  });

  test("keeps the wait's place for the grace, in which it can be asked for again", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    const holder = await node.asked();
    const asked = await node.asked({ ticket: 1 });
    const next = await node.asked();
    asked.claim.detach();
    await node.clock.advance(2_999);
    const again = await node.asked({ ticket: 1 });
    await node.clock.advance(3_000);
    await node.store.unlock(holder.grant.key);
    expect([asked.told, again.told, next.told]).toEqual([[], ["granted"], []]);
  });

  test("removes the wait after the grace", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    await node.asked();
    const asked = await node.asked({ ticket: 1 });
    asked.claim.detach();
    await node.clock.advance(3_000);
    expect([asked.told, node.store.size, node.log.tickets.length]).toEqual([[], 1, 1]);
  });

  test("a detached wait whose turn has come is told when it is asked for again, and its TTL runs from then", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    const holder = await node.asked();
    const asked = await node.asked({ ticket: 1, ttlMs: 1_000 });
    asked.claim.detach();
    await node.store.unlock(holder.grant.key);
    await node.clock.advance(2_000);
    const again = await node.asked({ ticket: 1, ttlMs: 1_000 });
    expect([asked.told, again.told]).toEqual([[], ["granted"]]);
    await node.clock.advance(999);
    expect(again.told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(again.told).toEqual(["granted", "lost: expired"]);
  });

  test("a detached wait whose turn has come makes room after the grace", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    const holder = await node.asked();
    const asked = await node.asked({ ticket: 1 });
    const next = await node.asked();
    asked.claim.detach();
    await node.store.unlock(holder.grant.key);
    await node.clock.advance(3_000);
    expect([asked.told, next.told]).toEqual([[], ["granted"]]);
  });

  test("before the ticket is committed, and the grace passes: it is removed once it is", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    asked.claim.detach();
    await node.clock.advance(3_000);
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    expect([asked.told, node.store.size, node.log.tickets.length]).toEqual([[], 0, 0]);
  });

  test("before the ticket is committed, and it is within the grace: it waits there untold", async () => {
    const node = await scriptedNode({ waiterGraceMs: 3_000 });
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    asked.claim.detach();
    node.log.take("create").done();
    await settled();
    const again = await node.asked({ ticket: 1 });
    node.log.take("create").done();
    await settled();
    expect([asked.told, again.told]).toEqual([[], ["granted"]]);
    expect(again.grant.token).toBe(stored(node.log, 1).token);
  });

  test("after the grant: the hold stays, and nothing is told any more", async () => {
    const node = await scriptedNode();
    const asked = await node.asked({ ticket: 1, ttlMs: 5_000 });
    asked.claim.detach();
    await node.clock.advance(4_999);
    expect(node.log.tickets).toHaveLength(1);
    await node.clock.advance(1);
    expect([asked.told, node.log.tickets]).toEqual([["granted"], []]);
  });
});

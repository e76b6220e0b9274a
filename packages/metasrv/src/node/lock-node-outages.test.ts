import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { createElsewhere, id, orders, removeElsewhere, scriptedNode, stored } from "../../test-support/node-fixture.js";
import { LockError } from "../model/lock-errors.js";
import { encodeLockKey } from "../model/ticket-ref.js";

describe("a request whose outcome the log could not learn", () => {
  test("fails, and its ticket is removed when it turns up", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    node.log.take("create").commit().fail();
    await settled();
    expect([asked.told, node.store.size]).toEqual([["failed: store-unavailable"], 0]);
    node.log.manual = false;
    node.log.deliver();
    await settled();
    expect([asked.told.length, node.store.size, node.log.tickets]).toEqual([1, 0, []]);
  });

  test("removes the ticket that turned up until the store answers", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    node.ask();
    node.log.take("create").commit().fail();
    await settled();
    node.log.deliver();
    node.log.take("remove").fail();
    await node.clock.advance(1_000);
    node.log.take("remove").done();
    await settled();
    node.log.deliver();
    expect([node.store.size, node.log.tickets, node.clock.timers]).toEqual([0, [], 0]);
  });

  test("its ticket that has turned up already, and waits, is not left behind", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    node.log.manual = true;
    const asked = node.ask();
    const create = node.log.take("create").commit();
    node.log.deliver();
    create.fail();
    node.log.manual = false;
    await node.clock.advance(60_000);
    await node.store.unlock(holder.grant.key).catch(() => undefined);
    await node.clock.advance(60_000);
    expect(["granted", "failed: store-unavailable"]).toContain(asked.told[0]);
    expect([node.log.tickets, node.store.size]).toEqual([[], 0]);
  });

  test("its ticket that has turned up already, though it was given up before, is not left behind", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    const create = node.log.take("create").commit();
    asked.claim.cancel();
    node.log.deliver();
    create.fail();
    await settled();
    node.log.manual = false;
    await node.log.runPending();
    await node.clock.advance(60_000);
    expect([asked.told, node.log.tickets]).toEqual([[], []]);
  });

  test("its ticket that has turned up already, and holds, is not left behind", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask({ ttlMs: 1_000 });
    const create = node.log.take("create").commit();
    node.log.deliver();
    create.fail();
    node.log.manual = false;
    await settled();
    await node.log.runPending();
    expect(["granted", "failed: store-unavailable"]).toContain(asked.told[0]);
    await node.clock.advance(1_000);
    expect([node.log.tickets, node.store.size]).toEqual([[], 0]);
  });

  test("is removed even if it takes effect while the removal of a later attempt is under way", async () => {
    const node = await scriptedNode();
    await node.asked();
    node.log.manual = true;
    node.ask({ ticket: 1 });
    const late = node.log.take("create").fail();
    await settled();
    const again = node.ask({ ticket: 1 });
    node.log.take("create").done();
    await settled();
    again.claim.cancel();
    const removal = node.log.take("remove").commit();
    late.commit();
    node.log.deliver();
    removal.done();
    node.log.manual = false;
    await settled();
    await node.log.runPending();
    expect(node.log.written.get({ name: orders, id: id(1) })).toBeUndefined();
  });

  test("can be made again with the same ticket id, and goes on with the ticket if there is one", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    node.log.take("create").commit().fail();
    await settled();
    node.log.manual = false;
    const again = await node.asked({ ticket: 1 });
    expect([asked.told, again.told]).toEqual([["failed: store-unavailable"], ["granted"]]);
    expect(node.log.tickets).toHaveLength(1);
  });
});

describe("a renewal of another member's ticket whose outcome the log could not learn", () => {
  test("leaves the hold its TTL when it turns up", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    node.log.manual = true;
    const renewal = node.store.renew(encodeLockKey({ name: orders, id: id(1), token: held.token }));
    const renew = node.log.take("renew").late();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    renew.done();
    node.log.manual = false;
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).memberId).toBe("n1");
    await node.clock.advance(1);
    expect([node.log.tickets, node.store.size]).toEqual([[], 0]);
  });
});

describe("a store that is full", () => {
  test("fails a request with that reason", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    node.log.take("create").fail(new LockError("store-full", "no space"));
    await settled();
    expect([asked.told, node.store.size, node.clock.timers]).toEqual([["failed: store-full"], 0, 0]);
  });
});

describe("a listing after lost continuity", () => {
  test("tells nothing when nothing has changed", async () => {
    const node = await scriptedNode();
    const asks = [await node.asked(), await node.asked(), await node.asked({ name: "other" })];
    node.log.relist();
    await settled();
    expect(asks.map(({ told }) => told)).toEqual([["granted"], [], ["granted"]]);
  });

  test("ends what is missing: a hold as released, a wait as canceled, and grants to the next", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1 });
    const waiter = await node.asked({ ticket: 2 });
    const next = await node.asked({ ticket: 3 });
    removeElsewhere(node.log, 1);
    removeElsewhere(node.log, 2);
    node.log.relist();
    await settled();
    expect([holder.told, waiter.told, next.told]).toEqual([
      ["granted", "lost: released"],
      ["failed: canceled"],
      ["granted"],
    ]);
    expect([node.store.size, node.clock.timers]).toEqual([1, 1]);
  });

  test("a ticket that was removed and asked for again elsewhere is not taken for the one held here", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    node.log.deliver();
    const asked = await node.asked({ ticket: 1 });
    removeElsewhere(node.log, 1);
    createElsewhere(node.log, 1, "n2");
    node.log.relist();
    await settled();
    expect([asked.told, node.store.size]).toEqual([["granted", "lost: released"], 0]);
    expect(node.log.tickets).toHaveLength(1);
  });
});

test("a ticket that is removed before this node has heard that it was created is told as granted and lost", async () => {
  const node = await scriptedNode();
  node.log.manual = true;
  const asked = node.ask({ ticket: 1 });
  node.log.take("create").commit();
  removeElsewhere(node.log, 1);
  node.log.deliver();
  expect(asked.told).toEqual(["granted", "lost: released"]);
});

import { describe, expect, test } from "@jest/globals";
import { settled } from "../../test-support/manual-clock.js";
import {
  adoptElsewhere,
  createElsewhere,
  id,
  nodeOfThree,
  orders,
  removeElsewhere,
  stored,
} from "../../test-support/node-fixture.js";
import { deliveryOrders } from "../../test-support/scripted-ticket-log.js";
import { encodeLockKey } from "./lock-key.js";

/** The key of a ticket that holds at another member. */
function keyOf({ createRevision }: { readonly createRevision: bigint }): Uint8Array {
  return encodeLockKey({ name: orders, id: id(1), token: createRevision });
}

describe("a ticket that another member adopts", () => {
  test("ends a wait here, and stays in the log", async () => {
    const node = await nodeOfThree();
    await node.asked();
    const asked = await node.asked({ ticket: 1, waitMs: 1_000 });
    const moved = adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    expect(asked.told).toEqual(["failed: superseded"]);
    await node.clock.advance(1_000);
    expect(stored(node.log, 1)).toEqual(moved);
    expect(node.store.size).toBe(1);
  });

  test("ends a hold here, and its clock", async () => {
    const node = await nodeOfThree();
    const asked = await node.asked({ ticket: 1, ttlMs: 1_000 });
    const moved = adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    expect(asked.told).toEqual(["granted", "lost: moved"]);
    await node.clock.advance(1_000);
    expect(stored(node.log, 1)).toEqual(moved);
    expect([node.store.size, node.clock.timers]).toEqual([0, 0]);
  });

  test("while its request here is still on its way: ends that too, once it is answered", async () => {
    const node = await nodeOfThree();
    await node.asked();
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    const create = node.log.take("create").commit();
    adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    create.answer();
    await settled();
    expect(asked.told).toEqual(["failed: superseded"]);
  });
});

describe.each(deliveryOrders)("a requester that comes over from another member (%s)", (order) => {
  test("keeps its place, and this node tells it of the grant", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const holder = await node.asked();
    const { createRevision } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const next = await node.asked();
    const moved = await node.asked({ ticket: 1 });
    expect(stored(node.log, 1)).toMatchObject({ createRevision, ticket: { memberId: "n1" } });
    await node.store.unlock(holder.grant.key);
    await settled();
    expect([moved.told, next.told]).toEqual([["granted"], []]);
    expect(moved.grant.token).toBe(createRevision);
  });

  test("is granted at once if its ticket holds already", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const { createRevision } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const moved = await node.asked({ ticket: 1, ttlMs: 1_000 });
    expect(moved.told).toEqual(["granted"]);
    expect(moved.grant).toMatchObject({ token: createRevision, ttlMs: 1_000 });
    await node.clock.advance(1_000);
    expect(moved.told).toEqual(["granted", "lost: expired"]);
  });

  test("renews its key here; from then on this node runs the clock", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    await expect(node.store.renew(keyOf(held), 1_000)).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(stored(node.log, 1).ticket).toMatchObject({ memberId: "n1", ttlMs: 1_000 });
    await expect(node.store.renew(keyOf(held))).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(node.log.store.tickets).toHaveLength(1);
    await node.clock.advance(1);
    expect([node.log.store.tickets, node.store.size]).toEqual([[], 0]);
  });

  test("renews its key here before this node has heard of the ticket", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const held = createElsewhere(node.log, 1, "n2");
    await expect(node.store.renew(keyOf(held), 1_000)).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(stored(node.log, 1).ticket.memberId).toBe("n1");
    await node.clock.advance(1);
    expect(node.log.store.tickets).toEqual([]);
  });

  test("renews its key here before this node has heard that the ticket before it is gone", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    createElsewhere(node.log, 2, "n2");
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    removeElsewhere(node.log, 2);
    await expect(node.store.renew(keyOf(held))).resolves.toBe(10_000);
  });

  test("renews its key here before this node has heard of an earlier renewal", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    adoptElsewhere(node.log, 1, "n3");
    await expect(node.store.renew(keyOf(held))).resolves.toBe(10_000);
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).ticket.memberId).toBe("n1");
    expect(node.store.size).toBe(1);
  });

  test("comes back to a node that has not heard yet that it was away", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const asked = await node.asked({ ticket: 1 });
    adoptElsewhere(node.log, 1, "n2");
    await expect(node.store.renew(asked.grant.key)).resolves.toBe(10_000);
    await settled();
    expect(stored(node.log, 1).ticket.memberId).toBe("n1");
    await node.clock.advance(10_000);
    expect(node.log.store.tickets).toEqual([]);
  });

  test("is told of a later loss", async () => {
    const node = await nodeOfThree();
    node.log.order = order;
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const lost: string[] = [];
    const never = () => {
      throw new Error("told of something else than a loss");
    };
    const listener = { granted: never, refused: never, failed: never, lost: (reason: string) => lost.push(reason) };
    await node.store.resume(keyOf(held), 1_000, listener);
    await node.clock.advance(999);
    expect([lost, node.log.store.tickets.length]).toEqual([[], 1]);
    await node.clock.advance(1);
    expect([lost, node.log.store.tickets.length]).toEqual([["expired"], 0]);
  });
});

describe("a key that does not hold", () => {
  test("because its ticket waits", async () => {
    const node = await nodeOfThree();
    await node.asked();
    const waiting = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    await expect(node.store.renew(keyOf(waiting))).rejects.toMatchObject({ reason: "not-held" });
    expect(stored(node.log, 1)).toMatchObject({ createRevision: waiting.createRevision });
  });

  test("because its ticket is gone", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    removeElsewhere(node.log, 1);
    await expect(node.store.renew(keyOf(held))).rejects.toMatchObject({ reason: "not-held" });
    await expect(node.store.unlock(keyOf(held))).rejects.toMatchObject({ reason: "not-held" });
  });

  test("because its ticket goes while it is renewed here", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    removeElsewhere(node.log, 1);
    await expect(node.store.renew(keyOf(held))).rejects.toMatchObject({ reason: "not-held" });
    expect(node.store.size).toBe(0);
  });

  test("because its token is another's", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    for (const token of [held.createRevision - 1n, held.createRevision + 1n]) {
      const key = keyOf({ createRevision: token });
      await expect(node.store.renew(key)).rejects.toMatchObject({ reason: "not-held" });
      await expect(node.store.unlock(key)).rejects.toMatchObject({ reason: "not-held" });
    }
    expect(stored(node.log, 1)).toEqual(held);
  });
});

test("news older than what this node did itself mean nothing", async () => {
  const node = await nodeOfThree();
  const held = createElsewhere(node.log, 1, "n2");
  node.log.deliver();
  node.log.manual = true;
  adoptElsewhere(node.log, 1, "n3");
  const listener = { granted: () => undefined, refused: () => undefined, failed: () => undefined, lost: tell };
  const lost: string[] = [];
  function tell(reason: string): void {
    lost.push(reason);
  }
  const renewal = node.store.resume(keyOf(held), 0, listener);
  node.log.take("update").answer();
  await settled();
  node.log.take("update").answer();
  await renewal;
  // Both n3's adoption and this node's own arrive only now.
  node.log.deliver();
  expect([lost, node.store.size]).toEqual([[], 1]);
});

test("unlocking a ticket that is asked for again at the same time ends that request", async () => {
  const node = await nodeOfThree();
  const held = createElsewhere(node.log, 1, "n2");
  node.log.deliver();
  node.log.membership.extended(node.clock.now());
  const again = await node.asked({ ticket: 1 });
  node.log.manual = true;
  const unlocked = node.store.unlock(keyOf(held));
  node.log.take("delete").answer();
  await unlocked;
  node.log.deliver();
  expect(again.told).toEqual(["failed: canceled"]);
});

import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  adoptElsewhere,
  createElsewhere,
  id,
  nodeOfThree,
  orders,
  removeElsewhere,
  stored,
} from "../../test-support/node-fixture.js";
import { encodeLockKey } from "../model/ticket-ref.js";

/** The key of a ticket that holds at another member. */
function keyOf({ token }: { readonly token: bigint }): Uint8Array {
  return encodeLockKey({ name: orders, id: id(1), token: token });
}

/** The outcome of a request here was not known in time. Its requester was served by another member, and now renews its key here. */
async function renewedUnheard() {
  const node = await nodeOfThree();
  node.log.manual = true;
  const asked = node.ask({ ticket: 1 });
  node.log.take("create").commit().late();
  expect(asked.told).toEqual(["failed: store-unavailable"]);
  const renewal = node.store.renew(keyOf(createElsewhere(node.log, 1, "n2", orders, 1)));
  renewal.catch(() => undefined);
  return { node, renewal, renew: node.log.take("renew") };
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

  test("is not taken back while its end here is on its way, which would then end it", async () => {
    const node = await nodeOfThree();
    const { grant } = await node.asked({ ticket: 1, ttlMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(1_000);
    const removal = node.log.take("remove");
    adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "superseded" });
    expect(() => node.ask({ ticket: 1 })).toThrow(expect.objectContaining({ reason: "superseded" }));
    removal.done();
    node.log.manual = false;
    expect(stored(node.log, 1).memberId).toBe("n2");
    expect(await node.store.renew(grant.key)).toBe(1_000);
    expect(stored(node.log, 1).memberId).toBe("n1");
  });

  test("neither while it waits, and a wait here was over before", async () => {
    const node = await nodeOfThree();
    const held = await node.asked();
    const asked = await node.asked({ ticket: 1, waitMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(1_000);
    const removal = node.log.take("remove");
    adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    expect(() => node.ask({ ticket: 1, attempt: 1 })).toThrow(expect.objectContaining({ reason: "superseded" }));
    removal.done();
    node.log.manual = false;
    expect(stored(node.log, 1).memberId).toBe("n2");
    const again = await node.asked({ ticket: 1, attempt: 1 });
    await node.store.unlock(held.grant.key);
    expect(stored(node.log, 1).memberId).toBe("n1");
    expect([asked.told, again.told]).toEqual([["failed: wait-timed-out"], ["granted"]]);
  });

  test("while its request here is still on its way: ends that too, once it is answered", async () => {
    const node = await nodeOfThree();
    await node.asked();
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    const create = node.log.take("create").commit();
    adoptElsewhere(node.log, 1, "n2");
    node.log.deliver();
    create.done();
    await settled();
    expect(asked.told).toEqual(["failed: superseded"]);
  });
});

describe("a requester that comes over from another member", () => {
  test("keeps its place, and this node tells it of the grant", async () => {
    const node = await nodeOfThree();
    const holder = await node.asked();
    const { token } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const next = await node.asked();
    const moved = await node.asked({ ticket: 1 });
    expect(stored(node.log, 1)).toMatchObject({ token, memberId: "n1" });
    await node.store.unlock(holder.grant.key);
    await settled();
    expect([moved.told, next.told]).toEqual([["granted"], []]);
    expect(moved.grant.token).toBe(token);
  });

  test("is granted at once if its ticket holds already", async () => {
    const node = await nodeOfThree();
    const { token } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const moved = await node.asked({ ticket: 1, ttlMs: 1_000 });
    expect(moved.told).toEqual(["granted"]);
    expect(moved.grant).toMatchObject({ token: token, ttlMs: 1_000 });
    await node.clock.advance(1_000);
    expect(moved.told).toEqual(["granted", "lost: expired"]);
  });

  test("renews its key here; from then on this node runs the clock", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    await expect(node.store.renew(keyOf(held), { ttlMs: 1_000 })).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n1", content: { ttlMs: 1_000 } });
    await expect(node.store.renew(keyOf(held))).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(node.log.tickets).toHaveLength(1);
    await node.clock.advance(1);
    expect([node.log.tickets, node.store.size]).toEqual([[], 0]);
  });

  test("renews its key here before this node has heard of the ticket", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    await expect(node.store.renew(keyOf(held), { ttlMs: 1_000 })).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(stored(node.log, 1).memberId).toBe("n1");
    await node.clock.advance(1);
    expect(node.log.tickets).toEqual([]);
  });

  test("renews its key here before this node has heard that the ticket before it is gone", async () => {
    const node = await nodeOfThree();
    createElsewhere(node.log, 2, "n2");
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    removeElsewhere(node.log, 2);
    await expect(node.store.renew(keyOf(held))).resolves.toBe(10_000);
  });

  test("renews its key here before this node has heard of an earlier renewal", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    adoptElsewhere(node.log, 1, "n3");
    await expect(node.store.renew(keyOf(held))).resolves.toBe(10_000);
    await node.clock.advance(9_999);
    expect(stored(node.log, 1).memberId).toBe("n1");
    expect(node.store.size).toBe(1);
  });

  test("comes back to a node that has not heard yet that it was away", async () => {
    const node = await nodeOfThree();
    const asked = await node.asked({ ticket: 1 });
    adoptElsewhere(node.log, 1, "n2");
    await expect(node.store.renew(asked.grant.key)).resolves.toBe(10_000);
    await settled();
    expect(stored(node.log, 1).memberId).toBe("n1");
    await node.clock.advance(10_000);
    expect(node.log.tickets).toEqual([]);
  });

  test("renews its key here while an earlier request of its own, which nobody waits for, is still unheard of", async () => {
    const { node, renewal, renew } = await renewedUnheard();
    renew.commit();
    node.log.deliver();
    await expect(renewal).resolves.toBe(10_000);
    expect(node.log.pending).toEqual([]);
    expect(stored(node.log, 1).memberId).toBe("n1");
    // It is served from then on.
    await node.clock.advance(9_999);
    expect(node.log.pending).toEqual([]);
    await node.clock.advance(1);
    expect(node.log.take("remove").done().command).toMatchObject({ cause: "expired" });
    expect(node.log.tickets).toEqual([]);
  });

  test("and is removed after all if that renewal comes to nothing", async () => {
    const { node, renewal, renew } = await renewedUnheard();
    node.log.deliver(1);
    renew.fail();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    expect(node.log.take("remove").command).toMatchObject({ cause: "cancelled" });
  });

  test("is told of a later loss", async () => {
    const node = await nodeOfThree();
    const held = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const lost: string[] = [];
    const never = () => {
      throw new Error("told of something else than a loss");
    };
    const listener = { granted: never, refused: never, failed: never, lost: (reason: string) => lost.push(reason) };
    await node.store.resume(keyOf(held), { ttlMs: 1_000 }, listener);
    await node.clock.advance(999);
    expect([lost, node.log.tickets.length]).toEqual([[], 1]);
    await node.clock.advance(1);
    expect([lost, node.log.tickets.length]).toEqual([["expired"], 0]);
  });
});

describe("a key that does not hold", () => {
  test("because its ticket waits", async () => {
    const node = await nodeOfThree();
    await node.asked();
    const waiting = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    await expect(node.store.renew(keyOf(waiting))).rejects.toMatchObject({ reason: "not-held" });
    expect(stored(node.log, 1)).toMatchObject({ token: waiting.token });
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
    for (const token of [held.token - 1n, held.token + 1n]) {
      const key = keyOf({ token: token });
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
  const renewal = node.store.resume(keyOf(held), {}, listener);
  // n3's renewal and this node's own arrive together.
  node.log.take("renew").done();
  await renewal;
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
  node.log.take("remove").done();
  await unlocked;
  node.log.deliver();
  expect(again.told).toEqual(["failed: canceled"]);
});

test("news of an earlier ticket of the same id, told late, do not end what was asked for since", async () => {
  const node = await nodeOfThree({ waiterGraceMs: 3_000 });
  node.log.manual = true;
  const first = node.ask({ ticket: 1 });
  node.log.take("create").commit();
  first.claim.detach();
  adoptElsewhere(node.log, 1, "n2");
  removeElsewhere(node.log, 1);
  const again = node.ask({ ticket: 1, attempt: 1 });
  node.log.take("create").commit();
  again.claim.detach();
  node.log.deliver();
  expect([node.log.tickets.length, node.store.size]).toEqual([1, 1]);
  node.log.manual = false;
  await node.clock.advance(3_000);
  expect([node.log.tickets.length, node.store.size, node.clock.timers]).toEqual([0, 0, 0]);
});

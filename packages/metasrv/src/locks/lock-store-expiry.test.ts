import { describe, expect, test } from "@jest/globals";
import { settled } from "../../test-support/manual-clock.js";
import { adoptElsewhere, id, orders, scriptedNode, stored } from "../../test-support/node-fixture.js";

describe("expiry", () => {
  test("removes the ticket on the condition that nobody has changed it", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1, ttlMs: 1_000 });
    const { modRevision } = stored(node.log, 1);
    await node.clock.advance(1_000);
    expect(holder.told).toEqual(["granted", "lost: expired"]);
    expect(node.log.ops.at(-1)).toEqual({ kind: "delete", name: orders, id: id(1), condition: { modRevision } });
    expect([node.log.store.tickets, node.store.size, node.clock.timers]).toEqual([[], 0, 0]);
  });

  test("leaves a ticket alone that another member serves now, though the news have not arrived", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1, ttlMs: 1_000 });
    const moved = adoptElsewhere(node.log, 1, "n2");
    node.log.manual = true;
    await node.clock.advance(1_000);
    node.log.take("delete").answer();
    await settled();
    expect(holder.told).toEqual(["granted", "lost: expired"]);
    expect(stored(node.log, 1)).toEqual(moved);
    expect([node.log.pending, node.store.size]).toEqual([[], 0]);
  });

  test("is tried until the store answers", async () => {
    const node = await scriptedNode();
    await node.asked({ ttlMs: 1_000 });
    const next = await node.asked();
    node.log.manual = true;
    await node.clock.advance(1_000);
    node.log.take("delete").fail();
    await node.clock.advance(1_000);
    node.log.take("delete").fail();
    node.log.manual = false;
    await node.clock.advance(1_000);
    expect(next.told).toEqual(["granted"]);
    expect(node.store.size).toBe(1);
  });

  test("a renewal after it, while the removal is under way, does not hold", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(1_000);
    const renewal = node.store.renew(grant.key);
    node.log.take("delete").answer();
    node.log.take("update").answer();
    await expect(renewal).rejects.toMatchObject({ reason: "not-held" });
  });
});

describe("renewal", () => {
  test("on its way when the TTL passes keeps the hold until it is answered, then gives a full TTL", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(999);
    const renewal = node.store.renew(grant.key);
    await node.clock.advance(500);
    expect(told).toEqual(["granted"]);
    node.log.take("update").answer();
    await expect(renewal).resolves.toBe(1_000);
    await node.clock.advance(999);
    expect(told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(told).toEqual(["granted", "lost: expired"]);
  });

  test("that fails after the TTL has passed ends the hold", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(999);
    const renewal = node.store.renew(grant.key);
    await node.clock.advance(500);
    node.log.take("update").fail();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    expect(told).toEqual(["granted", "lost: expired"]);
    node.log.take("delete").answer();
    expect(node.log.store.tickets).toEqual([]);
  });

  test("that fails within the TTL changes nothing", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    const renewal = node.store.renew(grant.key, 60_000);
    node.log.take("update").fail();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    await node.clock.advance(999);
    expect(told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(told).toEqual(["granted", "lost: expired"]);
  });

  test("succeeds after one whose outcome was unknown took effect, though the news have not arrived", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    const first = node.store.renew(grant.key);
    node.log.take("update").commit().fail();
    await expect(first).rejects.toMatchObject({ reason: "store-unavailable" });
    node.log.manual = false;
    await expect(node.store.renew(grant.key)).resolves.toBe(1_000);
    expect(told).toEqual(["granted"]);
  });

  test("of a hold whose last renewal had an unknown outcome: the expiry still removes it", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    const renewal = node.store.renew(grant.key);
    node.log.take("update").commit().fail();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    node.log.manual = false;
    await node.clock.advance(1_000);
    expect(told).toEqual(["granted", "lost: expired"]);
    expect(node.log.store.tickets).toEqual([]);
  });

  test("with a TTL out of bounds is refused and changes nothing", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    await expect(node.store.renew(grant.key, 1)).rejects.toMatchObject({ reason: "invalid-ttl" });
    await node.clock.advance(1_000);
    expect(told).toEqual(["granted", "lost: expired"]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { adoptElsewhere, id, orders, scriptedNode, stored } from "../../test-support/node-fixture.js";

describe("expiry", () => {
  test("removes the ticket, if this member still serves it", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1, ttlMs: 1_000 });
    const { token } = holder.grant;
    await node.clock.advance(1_000);
    expect(holder.told).toEqual(["granted", "lost: expired"]);
    expect(node.log.commands.at(-1)).toEqual({
      kind: "remove",
      name: orders,
      id: id(1),
      token,
      cause: "expired",
      memberId: "",
    });
    expect([node.log.tickets, node.store.size, node.clock.timers]).toEqual([[], 0, 0]);
  });

  test("leaves a ticket alone that another member serves now, though the news have not arrived", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1, ttlMs: 1_000 });
    const moved = adoptElsewhere(node.log, 1, "n2");
    node.log.manual = true;
    await node.clock.advance(1_000);
    node.log.take("remove").done();
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
    node.log.take("remove").fail();
    await node.clock.advance(1_000);
    node.log.take("remove").fail();
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
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "not-held" });
    node.log.take("remove").done();
    expect(node.log.tickets).toEqual([]);
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
    node.log.take("renew").done();
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
    node.log.take("renew").fail();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    expect(told).toEqual(["granted", "lost: expired"]);
    node.log.take("remove").done();
    expect(node.log.tickets).toEqual([]);
  });

  test("that fails within the TTL changes nothing", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    const renewal = node.store.renew(grant.key, { ttlMs: 60_000 });
    node.log.take("renew").fail();
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
    node.log.take("renew").late().commit();
    await expect(first).rejects.toMatchObject({ reason: "store-unavailable" });
    node.log.manual = false;
    await expect(node.store.renew(grant.key)).resolves.toBe(1_000);
    expect(told).toEqual(["granted"]);
  });

  test("whose outcome is not known in time keeps the hold until it is, then gives a full TTL", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    node.log.manual = true;
    const renewal = node.store.renew(grant.key);
    const renew = node.log.take("renew").late();
    await expect(renewal).rejects.toMatchObject({ reason: "store-unavailable" });
    await node.clock.advance(1_500);
    expect(told).toEqual(["granted"]);
    renew.done();
    node.log.manual = false;
    await node.clock.advance(999);
    expect(told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(told).toEqual(["granted", "lost: expired"]);
    expect(node.log.tickets).toEqual([]);
  });

  test("with a TTL out of bounds is refused and changes nothing", async () => {
    const node = await scriptedNode();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    await expect(node.store.renew(grant.key, { ttlMs: 1 })).rejects.toMatchObject({ reason: "invalid-ttl" });
    await node.clock.advance(1_000);
    expect(told).toEqual(["granted", "lost: expired"]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  adoptElsewhere,
  createElsewhere,
  removeElsewhere,
  scriptedNode,
  stored,
} from "../../test-support/node-fixture.js";

describe("a ticket id that is asked for again", () => {
  test("while the log is asked: the later request is the one that is answered", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const first = node.ask({ ticket: 1 });
    const again = node.ask({ ticket: 1 });
    node.log.take("create").done();
    await settled();
    // In between, the requester may have been at another member: the log must show that the ticket is still this one's.
    expect(again.told).toEqual([]);
    node.log.take("create").done();
    await settled();
    expect([first.told, again.told, node.log.pending]).toEqual([["failed: superseded"], ["granted"], []]);
  });

  test("while waiting: it keeps its place, and the wait and its bound begin anew", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ttlMs: 60_000 });
    const first = await node.asked({ ticket: 1, waitMs: 1_000 });
    const next = await node.asked();
    await node.clock.advance(900);
    const again = await node.asked({ ticket: 1, waitMs: 1_000 });
    await node.clock.advance(900);
    await node.store.unlock(holder.grant.key);
    expect([first.told, again.told, next.told]).toEqual([["failed: superseded"], ["granted"], []]);
    expect(again.grant.waitedMs).toBe(900);
  });

  test("while waiting, but not to wait any longer: it is refused and leaves nothing behind", async () => {
    const node = await scriptedNode();
    await node.asked();
    await node.asked({ ticket: 1 });
    const again = await node.asked({ ticket: 1, waitMs: 0 });
    expect(again.told).toEqual(["refused"]);
    expect([node.store.size, node.log.tickets.length]).toEqual([1, 1]);
  });

  test("while it waits at another member, but not to wait any longer: it is refused and leaves nothing behind", async () => {
    const node = await scriptedNode();
    await node.asked();
    node.log.memberJoins("n2");
    createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const again = await node.asked({ ticket: 1, waitMs: 0 });
    expect(again.told).toEqual(["refused"]);
    expect([node.store.size, node.log.tickets.length]).toEqual([1, 1]);
  });

  test("to wait, while the log is asked not to wait: it is not refused", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    node.log.manual = true;
    node.ask({ ticket: 1, waitMs: 0 });
    const again = node.ask({ ticket: 1 });
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual([]);
    await node.store.unlock(holder.grant.key);
    await settled();
    expect(again.told).toEqual(["granted"]);
  });

  test("while held: the same grant is told again, with a full TTL from then", async () => {
    const node = await scriptedNode();
    const first = await node.asked({ ticket: 1, ttlMs: 1_000 });
    await node.clock.advance(900);
    const again = await node.asked({ ticket: 1, ttlMs: 1_000 });
    expect(again.told).toEqual(["granted"]);
    expect(again.grant).toEqual({ ...first.grant, waitedMs: 0 });
    await node.clock.advance(999);
    expect(again.told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(again.told).toEqual(["granted", "lost: expired"]);
  });

  test("while held, and given up before that is answered: it is not told", async () => {
    const node = await scriptedNode();
    await node.asked({ ticket: 1 });
    node.log.manual = true;
    const again = node.ask({ ticket: 1 });
    again.claim.cancel();
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual([]);
  });

  test("while held, and released before that is answered: a new ticket is asked for", async () => {
    const node = await scriptedNode();
    const first = await node.asked({ ticket: 1 });
    const waiter = await node.asked();
    node.log.manual = true;
    const again = node.ask({ ticket: 1 });
    removeElsewhere(node.log, 1);
    node.log.deliver();
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    expect([again.told, waiter.told]).toEqual([[], ["granted"]]);
    await node.store.unlock(waiter.grant.key);
    await settled();
    expect(again.told).toEqual(["granted"]);
    expect(again.grant.token).toBeGreaterThan(first.grant.token);
  });
});

describe("while the removal of the same ticket is under way", () => {
  test("a new ticket is asked for after it, behind those that wait", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    const first = await node.asked({ ticket: 1 });
    const next = await node.asked();
    node.log.manual = true;
    first.claim.cancel();
    const again = node.ask({ ticket: 1 });
    node.log.take("remove").done();
    node.log.take("create").done();
    await settled();
    node.log.manual = false;
    await node.store.unlock(holder.grant.key);
    await settled();
    expect([first.told, again.told, next.told]).toEqual([[], [], ["granted"]]);
    await node.store.unlock(next.grant.key);
    await settled();
    expect(again.told).toEqual(["granted"]);
  });

  test("the ticket that goes is not granted to the new request, though its turn comes first", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    createElsewhere(node.log, 2, "n2");
    node.log.deliver();
    const first = await node.asked({ ticket: 1 });
    const doomed = stored(node.log, 1).token;
    node.log.manual = true;
    first.claim.cancel();
    const again = node.ask({ ticket: 1 });
    removeElsewhere(node.log, 2);
    node.log.deliver();
    expect(again.told).toEqual([]);
    node.log.take("remove").done();
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual(["granted"]);
    expect(again.grant.token).toBeGreaterThan(doomed);
  });

  test("after its expiry: the new request gets a new grant", async () => {
    const node = await scriptedNode();
    const first = await node.asked({ ticket: 1, ttlMs: 1_000 });
    node.log.manual = true;
    await node.clock.advance(1_000);
    const again = node.ask({ ticket: 1 });
    node.log.take("remove").done();
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual(["granted"]);
    expect(again.grant.token).toBeGreaterThan(first.grant.token);
  });

  test("a removal that the store refuses to answer does not remove the new request's ticket", async () => {
    const node = await scriptedNode();
    await node.asked();
    const first = await node.asked({ ticket: 1 });
    node.log.manual = true;
    first.claim.cancel();
    const again = node.ask({ ticket: 1 });
    node.log.take("remove").fail();
    await settled();
    node.log.take("create").done();
    await node.clock.advance(5_000);
    expect([first.told, again.told, node.log.pending]).toEqual([[], [], []]);
    expect(node.log.tickets).toHaveLength(2);
  });
});

describe("a request that was on its way for so long that its requester has asked again", () => {
  test("is outdated, and the wait goes on", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    const live = await node.asked({ ticket: 1, attempt: 1 });
    expect(() => node.ask({ ticket: 1, attempt: 0 })).toThrow(expect.objectContaining({ reason: "superseded" }));
    await node.store.unlock(holder.grant.key);
    expect(live.told).toEqual(["granted"]);
  });

  test("is outdated, and the hold goes on with its TTL", async () => {
    const node = await scriptedNode();
    const live = await node.asked({ ticket: 1, attempt: 0, ttlMs: 1_000 });
    const again = await node.asked({ ticket: 1, attempt: 2, ttlMs: 1_000 });
    await node.clock.advance(500);
    expect(() => node.ask({ ticket: 1, attempt: 1 })).toThrow(expect.objectContaining({ reason: "superseded" }));
    await node.clock.advance(500);
    expect([live.told, again.told]).toEqual([["granted"], ["granted", "lost: expired"]]);
  });

  test.each([false, true])(
    "does not take the ticket from the member where it asked again (known: %s)",
    async (known) => {
      const node = await scriptedNode();
      node.log.memberJoins("n2");
      createElsewhere(node.log, 1, "n2", undefined, 3);
      if (known) {
        node.log.deliver();
      }
      const outdated = await node.asked({ ticket: 1, attempt: 2 });
      expect(outdated.told).toEqual(["failed: superseded"]);
      node.log.deliver();
      expect(stored(node.log, 1)).toMatchObject({ attempt: 3, memberId: "n2" });
      expect([node.store.size, node.clock.timers]).toEqual([0, 0]);
    },
  );

  test("takes it if it is the later one after all", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    createElsewhere(node.log, 1, "n2", undefined, 1);
    node.log.deliver();
    const later = await node.asked({ ticket: 1, attempt: 2 });
    expect(later.told).toEqual(["granted"]);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n1", attempt: 2 });
  });
});

describe("a ticket that is asked for again", () => {
  test("is granted only once the log shows that no other member has had it in between", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    const holder = await node.asked();
    await node.asked({ ticket: 1 });
    adoptElsewhere(node.log, 1, "n2");
    node.log.manual = true;
    const again = node.ask({ ticket: 1, attempt: 1 });
    node.log.manual = false;
    await node.store.unlock(holder.grant.key);
    await settled();
    // The table does not show yet that the ticket was elsewhere; the answer to the second update tells.
    expect(again.told).toEqual([]);
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual(["granted"]);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n1" });
  });
});

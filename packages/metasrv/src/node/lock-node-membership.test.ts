import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  createElsewhere,
  id,
  nodeOfThree,
  orders,
  removeElsewhere,
  scriptedNode,
  stored,
} from "../../test-support/node-fixture.js";
import { notAMember } from "../model/lock-errors.js";
import { encodeLockKey } from "../model/ticket-ref.js";

describe("a grant is told only while the node is surely a member", () => {
  test("it is held back when the membership may have lapsed, and told once it is extended", async () => {
    const { log, clock, ...node } = await lapsedNode();
    const asked = await node.asked({ ttlMs: 1_000 });
    await clock.advance(5_000);
    expect(asked.told).toEqual([]);
    log.membership.extended(clock.now() + 60_000);
    expect(asked.told).toEqual(["granted"]);
    expect(asked.grant.waitedMs).toBe(5_000);
    await clock.advance(999);
    expect(asked.told).toEqual(["granted"]);
    await clock.advance(1);
    expect(asked.told).toEqual(["granted", "lost: expired"]);
  });

  test("the last moment of the membership is too late", async () => {
    const node = await scriptedNode();
    node.log.membership.extended(node.clock.now() + 100);
    await node.clock.advance(100);
    const asked = await node.asked();
    expect(asked.told).toEqual([]);
    node.log.membership.extended(node.clock.now() + 0.5);
    expect(asked.told).toEqual(["granted"]);
  });

  test("it fails when the membership is lost", async () => {
    const { log, ...node } = await lapsedNode();
    const asked = await node.asked();
    log.membership.lost();
    expect(asked.told).toEqual(["failed: not-a-member"]);
  });

  test("the wait can end while it is held back, and leaves nothing behind", async () => {
    const { log, clock, ...node } = await lapsedNode();
    const asked = await node.asked({ waitMs: 300 });
    await clock.advance(300);
    expect(asked.told).toEqual(["failed: wait-timed-out"]);
    log.membership.extended(clock.now() + 60_000);
    expect(asked.told).toHaveLength(1);
    expect(log.tickets).toEqual([]);
  });

  test("a ticket that was removed meanwhile is not granted", async () => {
    const { log, clock, ...node } = await lapsedNode();
    const asked = await node.asked({ ticket: 1 });
    removeElsewhere(log, 1, "n1");
    log.membership.extended(clock.now() + 60_000);
    log.deliver();
    // Told of the grant, for the store's news have not arrived; and of the loss with them.
    expect(asked.told).toEqual(["granted", "lost: released"]);
  });
});

describe("when the membership is lost", () => {
  test("waits fail, holds are left to the other members, and nothing is removed or timed here", async () => {
    const node = await scriptedNode();
    const holder = await node.asked();
    const waiter = await node.asked();
    node.log.membership.lost();
    expect(holder.told).toEqual(["granted", "lost: moved"]);
    expect(waiter.told).toEqual(["failed: not-a-member"]);
    await node.clock.advance(60_000);
    expect(node.log.tickets).toHaveLength(2);
    expect([node.store.size, node.clock.timers]).toEqual([0, 0]);
  });

  test("nothing is served until the node has joined again, then as another member", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ name: "held" });
    node.log.membership.lost();
    expect(() => node.ask()).toThrow(expect.objectContaining({ reason: "not-a-member" }));
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "not-a-member" });
    node.log.joinAs("n1-again");
    const asked = await node.asked({ ticket: 1 });
    expect(asked.told).toEqual(["granted"]);
    expect(stored(node.log, 1).memberId).toBe("n1-again");
  });

  test("a request on its way fails, and what comes of it is not granted here", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    const create = node.log.take("create").commit();
    node.log.membership.lost();
    expect(asked.told).toEqual(["failed: not-a-member"]);
    node.log.joinAs("n1-again");
    create.done();
    await settled();
    node.log.deliver();
    expect(asked.told).toEqual(["failed: not-a-member"]);
  });

  test("a renewal on its way is not answered as if the lock were lost: it still stands in the store", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ ticket: 1 });
    node.log.manual = true;
    const renewal = node.store.renew(grant.key);
    node.log.membership.lost();
    node.log.take("renew").done();
    await expect(renewal).rejects.toMatchObject({ reason: "not-a-member" });
    expect(stored(node.log, 1).token).toBe(grant.token);
  });

  test("a release on its way may come to nothing, so its holder is told that other members serve the lock", async () => {
    const node = await scriptedNode();
    const asked = await node.asked({ ticket: 1 });
    node.log.manual = true;
    const release = asked.claim.release().catch((error: unknown) => error);
    const removal = node.log.take("remove");
    node.log.membership.lost();
    removal.fail(notAMember());
    expect(await release).toMatchObject({ reason: "not-a-member" });
    expect(asked.told).toEqual(["granted", "lost: moved"]);
    expect(stored(node.log, 1).token).toBe(asked.grant.token);
  });

  test("a held ticket's repeated request on its way fails, and asks for nothing as the member that was", async () => {
    const node = await scriptedNode();
    await node.asked({ ticket: 1 });
    node.log.manual = true;
    const again = node.ask({ ticket: 1 });
    node.log.membership.lost();
    node.log.take("create").done();
    await settled();
    expect(again.told).toEqual(["failed: not-a-member"]);
    expect(node.log.pending).toEqual([]);
  });
});

describe("when the log knows before the node that its member is gone", () => {
  test("a new request fails, and puts nothing into the log", async () => {
    const node = await scriptedNode();
    node.log.memberGoes("n1");
    const [waiting, impatient] = [await node.asked(), await node.asked({ waitMs: 0 })];
    expect([waiting.told, impatient.told]).toEqual([["failed: not-a-member"], ["failed: not-a-member"]]);
    expect([node.log.tickets, node.store.size, node.clock.timers]).toEqual([[], 0, 0]);
  });

  test("a wait that is asked for again fails, and keeps its place for its requester to go on with elsewhere", async () => {
    const node = await scriptedNode();
    await node.asked();
    const waiter = await node.asked({ ticket: 1 });
    node.log.memberGoes("n1");
    const again = await node.asked({ ticket: 1, attempt: 1 });
    expect([waiter.told, again.told]).toEqual([["failed: superseded"], ["failed: not-a-member"]]);
    await node.clock.advance(9_999);
    expect(stored(node.log, 1)).toMatchObject({ memberId: "n1", attempt: 0 });
  });

  test("a renewal fails, and the lock is held by the same ticket until the leader has taken it over", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ ticket: 1 });
    const before = stored(node.log, 1);
    node.log.memberGoes("n1");
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "not-a-member" });
    expect(stored(node.log, 1)).toEqual(before);
  });

  test("a key of another member's lock is not adopted: that member goes on serving it", async () => {
    const { log, store, clock } = await nodeOfThree();
    createElsewhere(log, 1, "n2");
    log.deliver();
    const { token } = stored(log, 1);
    log.memberGoes("n1");
    const key = encodeLockKey({ name: orders, id: id(1), token: token });
    await expect(store.renew(key)).rejects.toMatchObject({ reason: "not-a-member" });
    expect(stored(log, 1).memberId).toBe("n2");
    expect([store.size, clock.timers]).toEqual([0, 0]);
  });
});

/** A node whose membership may have lapsed, but was not lost yet. */
async function lapsedNode() {
  const node = await scriptedNode();
  node.log.membership.extended(node.clock.now());
  return { log: node.log, clock: node.clock, asked: node.asked.bind(node) };
}

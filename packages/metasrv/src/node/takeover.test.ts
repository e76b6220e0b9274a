import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  adoptElsewhere,
  createElsewhere,
  id,
  leadingNode,
  orders,
  removeElsewhere,
  scriptedNode,
  stored,
} from "../../test-support/node-fixture.js";

/** A node that is not the leader: n0 is older. */
async function follower() {
  const node = await scriptedNode({ waiterGraceMs: 3_000 });
  node.log.membership.lost();
  node.log.memberGoes("n1");
  node.log.memberJoins("n0");
  node.log.memberJoins("n2");
  createElsewhere(node.log, 1, "n2");
  createElsewhere(node.log, 2, "n2");
  node.log.deliver();
  node.log.joinAs("n1-again");
  return parts(node);
}

function parts(node: Awaited<ReturnType<typeof scriptedNode>>) {
  return { node, log: node.log, clock: node.clock, store: node.store };
}

describe("the leader, when a member is gone", () => {
  test("gives what it held a full TTL from then, and removes it after that", async () => {
    const { node, log, clock, held } = await leadingNode();
    const next = await node.asked();
    removeElsewhere(log, 2);
    await clock.advance(7_000);
    log.memberGoes("n2");
    log.deliver();
    await settled();
    expect(stored(log, 1)).toMatchObject({ token: held.token, memberId: "n1" });
    await clock.advance(9_999);
    expect([stored(log, 1).token, next.told]).toEqual([held.token, []]);
    await clock.advance(1);
    expect(next.told).toEqual(["granted"]);
  });

  test("removes what only waited after the grace", async () => {
    const { log, clock } = await leadingNode();
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(2_999);
    expect(stored(log, 2).memberId).toBe("n2");
    await clock.advance(1);
    expect(log.written.get({ name: orders, id: id(2) })).toBeUndefined();
  });

  test("leaves a wait alone that was asked for again at this node or at another", async () => {
    const { node, log, clock } = await leadingNode();
    createElsewhere(log, 3, "n2");
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(1_000);
    const here = await node.asked({ ticket: 2 });
    adoptElsewhere(log, 3, "n3");
    log.deliver();
    await clock.advance(5_000);
    expect([stored(log, 2).memberId, stored(log, 3).memberId]).toEqual(["n1", "n3"]);
    removeElsewhere(log, 1);
    log.deliver();
    expect(here.told).toEqual(["granted"]);
  });

  test("leaves a wait alone that was asked for again at another node, though the news have not arrived", async () => {
    const { log, clock } = await leadingNode();
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(1_000);
    adoptElsewhere(log, 2, "n3");
    await clock.advance(5_000);
    expect(stored(log, 2).memberId).toBe("n3");
  });

  test("learns of it from a listing, too", async () => {
    const { log, clock } = await leadingNode();
    log.memberGoes("n2");
    log.relist();
    await settled();
    expect(stored(log, 1).memberId).toBe("n1");
    await clock.advance(60_000);
    expect(log.tickets).toEqual([]);
  });
});

describe("a node that does not lead", () => {
  test("does nothing about tickets of members that are gone", async () => {
    const { log, clock } = await follower();
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(60_000);
    expect(log.commands).toEqual([]);
  });

  test("takes them over once it leads", async () => {
    const { log, clock } = await follower();
    log.memberGoes("n2");
    log.deliver();
    await clock.advance(60_000);
    log.memberGoes("n0");
    log.deliver();
    await settled();
    expect(stored(log, 1).memberId).toBe("n1-again");
    await clock.advance(60_000);
    expect(log.tickets).toEqual([]);
  });
});

test("a node that was away takes over, as a new member, what it served before", async () => {
  const node = await scriptedNode();
  const asked = await node.asked({ ticket: 1, ttlMs: 5_000 });
  await node.clock.advance(4_000);
  node.log.membership.lost();
  node.log.memberGoes("n1");
  node.log.deliver();
  node.log.joinAs("n1-again");
  await node.clock.advance(4_999);
  expect(stored(node.log, 1)).toMatchObject({
    token: asked.grant.token,
    memberId: "n1-again",
  });
  await node.clock.advance(1);
  expect(node.log.tickets).toEqual([]);
});

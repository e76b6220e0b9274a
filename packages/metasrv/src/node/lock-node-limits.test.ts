import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { createElsewhere, scriptedNode } from "../../test-support/node-fixture.js";

const tooManyWaiters = expect.objectContaining({ reason: "too-many-waiters" });
const tooManyTickets = expect.objectContaining({ reason: "too-many-tickets" });

describe("waiters of one lock", () => {
  test("are counted exactly when many ask in one turn of the event loop", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 3 });
    const asks = [1, 2, 3, 4].map(() => node.ask());
    expect(() => node.ask()).toThrow(tooManyWaiters);
    await settled();
    expect(asks.map(({ told }) => told)).toEqual([["granted"], [], [], []]);
    expect(() => node.ask()).toThrow(tooManyWaiters);
    expect(node.log.tickets).toHaveLength(4);
  });

  test("are counted exactly while the log commits, delivers and answers", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 3 });
    await node.asked();
    node.log.manual = true;
    node.ask();
    node.ask();
    node.ask();
    for (let turn = 0; turn < 3; turn++) {
      expect(() => node.ask()).toThrow(tooManyWaiters);
      node.log.take("create").done();
      expect(() => node.ask()).toThrow(tooManyWaiters);
      await settled();
    }
    expect(() => node.ask()).toThrow(tooManyWaiters);
  });

  test("make room when they go", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 1 });
    const holder = await node.asked();
    const waiter = await node.asked();
    waiter.claim.cancel();
    await settled();
    const second = await node.asked();
    await node.store.unlock(holder.grant.key);
    await settled();
    expect(second.told).toEqual(["granted"]);
    await node.asked();
    expect(() => node.ask()).toThrow(tooManyWaiters);
  });

  test("that failed are not counted", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 1 });
    await node.asked();
    node.log.manual = true;
    for (let turn = 0; turn < 3; turn++) {
      node.ask();
      node.log.take("create").fail();
      await settled();
    }
    expect(() => node.ask()).not.toThrow();
  });

  test("that were refused are not counted", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 1 });
    await node.asked();
    for (let turn = 0; turn < 3; turn++) {
      expect((await node.asked({ waitMs: 0 })).told).toEqual(["refused"]);
    }
  });

  test("keep their place in a full queue when they come over from another member", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 1 });
    node.log.memberJoins("n2");
    const holder = await node.asked();
    createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    expect(() => node.ask()).toThrow(tooManyWaiters);
    const moved = await node.asked({ ticket: 1 });
    await node.store.unlock(holder.grant.key);
    await settled();
    expect(moved.told).toEqual(["granted"]);
  });
});

test("a full queue does not turn the refusal of one who does not want to wait into an error", async () => {
  const node = await scriptedNode({ maxWaitersPerLock: 1 });
  await node.asked();
  await node.asked();
  expect((await node.asked({ waitMs: 0 })).told).toEqual(["refused"]);
});

test("of no waiters at all, only a free lock is granted", async () => {
  const node = await scriptedNode({ maxWaitersPerLock: 0 });
  const holder = node.ask();
  expect(() => node.ask()).toThrow(tooManyWaiters);
  await settled();
  expect(holder.told).toEqual(["granted"]);
  expect(() => node.ask()).toThrow(tooManyWaiters);
});

describe("tickets of one node", () => {
  test("are bounded over all locks, held and waiting", async () => {
    const node = await scriptedNode({ maxTickets: 3 });
    const asks = [node.ask({ name: "a" }), node.ask({ name: "a" }), node.ask({ name: "b" })];
    expect(() => node.ask({ name: "c" })).toThrow(tooManyTickets);
    await settled();
    expect(() => node.ask({ name: "c" })).toThrow(tooManyTickets);
    expect(node.store.size).toBe(3);
    await node.store.unlock(asks[2]?.grant.key ?? Buffer.alloc(0));
    expect((await node.asked({ name: "c" })).told).toEqual(["granted"]);
  });

  test("do not keep a ticket that is served already from being asked for again", async () => {
    const node = await scriptedNode({ maxTickets: 1 });
    await node.asked({ ticket: 1 });
    expect((await node.asked({ ticket: 1 })).told).toEqual(["granted"]);
  });

  test("of other members do not count", async () => {
    const node = await scriptedNode({ maxTickets: 1 });
    node.log.memberJoins("n2");
    createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    expect(() => node.ask()).not.toThrow();
    expect(node.store.size).toBe(1);
  });
});

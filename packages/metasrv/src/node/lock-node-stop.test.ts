import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { createElsewhere, id, orders, scriptedNode, stored } from "../../test-support/node-fixture.js";

describe("stopping", () => {
  test("ends waits, leaves holds to the others, and leaves no timer", async () => {
    const node = await scriptedNode();
    const holder = await node.asked({ ticket: 1 });
    const resumable = await node.asked({ ticket: 2, waitMs: 60_000 });
    const other = await node.asked({ waitMs: 60_000 });
    await node.store.stop();
    expect([holder.told, resumable.told, other.told]).toEqual([
      ["granted", "lost: moved"],
      ["failed: shutting-down"],
      ["failed: shutting-down"],
    ]);
    // Who knows the ticket id can go on at another member; who does not, cannot.
    expect(node.log.tickets.map((ticket) => ticket.id)).toEqual([id(1), id(2)]);
    expect([node.log.left, node.log.closed, node.store.size, node.clock.timers]).toEqual([true, true, 0, 0]);
  });

  test("serves nothing from then on", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked();
    const stopped = node.store.stop();
    expect(() => node.ask()).toThrow(expect.objectContaining({ reason: "shutting-down" }));
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "shutting-down" });
    await stopped;
    await expect(node.store.unlock(grant.key)).rejects.toMatchObject({ reason: "shutting-down" });
  });

  test("does not wait long for a store that does not answer", async () => {
    const node = await scriptedNode();
    await node.asked();
    await node.asked();
    node.log.manual = true;
    let stopped = false;
    void node.store.stop().then(() => {
      stopped = true;
    });
    await node.clock.advance(1_999);
    expect(stopped).toBe(false);
    await node.clock.advance(1);
    expect([stopped, node.log.closed]).toEqual([true, true]);
  });

  test("a renewal on its way stands: the hold is not removed, and not called lost", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ ticket: 1 });
    const waiter = await node.asked();
    node.log.manual = true;
    const renewal = node.store.renew(grant.key);
    const stopped = node.store.stop();
    node.log.take("renew").done();
    await expect(renewal).rejects.toMatchObject({ reason: "shutting-down" });
    node.log.manual = false;
    await node.log.runPending();
    await stopped;
    expect(stored(node.log, 1).token).toBe(grant.token);
    expect(waiter.told).toEqual(["failed: shutting-down"]);
  });

  test("a request on its way keeps its place if its requester knows the ticket id", async () => {
    const node = await scriptedNode();
    await node.asked();
    await node.asked();
    node.log.manual = true;
    const asked = node.ask({ ticket: 1 });
    const stopped = node.store.stop();
    node.log.manual = false;
    node.log.take("create").done();
    await settled();
    await node.log.runPending();
    await stopped;
    expect(asked.told).toEqual(["failed: shutting-down"]);
    expect(node.log.written.get({ name: orders, id: id(1) })).toBeDefined();
  });

  test("a request on its way without a known ticket id leaves nothing behind", async () => {
    const node = await scriptedNode();
    node.log.manual = true;
    const asked = node.ask();
    const stopped = node.store.stop();
    node.log.manual = false;
    await node.log.runPending();
    await stopped;
    expect([asked.told, node.log.tickets]).toEqual([["failed: shutting-down"], []]);
  });

  test("a leader with a takeover unfinished does not go on with it for ever", async () => {
    const node = await scriptedNode();
    node.log.memberJoins("n2");
    createElsewhere(node.log, 1, "n2");
    createElsewhere(node.log, 2, "n2");
    node.log.deliver();
    await settled();
    node.log.manual = true;
    node.log.memberGoes("n2");
    node.log.deliver();
    node.log.take("adopt").fail();
    await settled();
    const stopped = node.store.stop();
    await node.clock.advance(2_000);
    await stopped;
    await node.clock.advance(60_000);
    expect(node.clock.timers).toBe(0);
  });

  test("a removal that the store does not answer does not keep a timer", async () => {
    const node = await scriptedNode();
    await node.asked();
    const asked = await node.asked();
    node.log.manual = true;
    asked.claim.cancel();
    node.log.take("remove").fail();
    await settled();
    node.log.manual = false;
    await node.store.stop();
    await node.clock.advance(1_000);
    expect([node.clock.timers, node.store.size]).toEqual([0, 0]);
  });
});

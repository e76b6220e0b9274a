import { describe, expect, test } from "@jest/globals";
import { lock, NodeFixture, scriptedNode } from "../../test-support/node-fixture.js";
import { Recorder } from "../../test-support/recorder.js";
import { stateOf } from "../../test-support/told.js";
import type { CommandLog } from "../log/command-log.js";
import { createMemoryLog } from "../log/memory-log.js";
import { checkKey } from "./admission.js";

/** The same rules on every log. */
const logs: readonly (readonly [string, () => Promise<NodeFixture<CommandLog>>])[] = [
  ["the memory log", () => new NodeFixture<CommandLog>(createMemoryLog({ fatal: failed, startedUnixMs: 100 })).start()],
  ["a log of the test's own", scriptedNode],
];

function failed(error: Error): never {
  throw error;
}

describe.each(logs)("over %s", (_, start) => {
  test("a free lock is granted with a key, a token and the TTL asked for", async () => {
    const node = await start();
    const asked = await node.asked({ ttlMs: 5_000, owner: "me" });
    expect(asked.told).toEqual(["granted"]);
    expect(asked.grant).toMatchObject({ ttlMs: 5_000, waitedMs: 0 });
    expect(checkKey(asked.grant.key, 1024)).toMatchObject({ name: lock("orders"), token: asked.grant.token });
    expect(node.store.state(Buffer.from("orders"))).toEqual(stateOf("me", asked.grant.token, 0));
  });

  test("waiters are served in the order of asking, each with a higher token, as soon as the holder goes", async () => {
    const node = await start();
    const asks = [node.ask(), node.ask(), node.ask()];
    await node.clock.advance(0);
    for (const [turn, asked] of asks.entries()) {
      expect(asks.map(({ told }) => told.includes("granted"))).toEqual(asks.map((_ask, index) => index <= turn));
      await node.store.unlock(asked.grant.key);
      await node.clock.advance(0);
      expect(asked.told).toEqual(["granted", "lost: released"]);
    }
    const tokens = asks.map(({ grant }) => grant.token);
    expect(tokens).toEqual(tokens.toSorted((a, b) => Number(a - b)));
    expect(new Set(tokens).size).toBe(3);
    expect(node.store.size).toBe(0);
  });

  test("locks of other names do not wait for it", async () => {
    const node = await start();
    await node.asked({ name: "a" });
    expect((await node.asked({ name: "a/b" })).told).toEqual(["granted"]);
    expect((await node.asked({ name: "a%2Fb" })).told).toEqual(["granted"]);
  });

  test("a taken lock is refused to one who does not want to wait, with a word on who is in the way", async () => {
    const node = await start();
    const holder = await node.asked({ owner: "me" });
    const tried = await node.asked({ waitMs: 0 });
    expect(tried.told).toEqual(["refused"]);
    expect(tried.refusals).toEqual([stateOf("me", holder.grant.token, 0)]);
    expect(node.store.size).toBe(1);
  });

  test("a free lock is granted to one who does not want to wait", async () => {
    const node = await start();
    expect((await node.asked({ waitMs: 0 })).told).toEqual(["granted"]);
  });

  test("the TTL runs from the grant, not while waiting, and then the next is granted", async () => {
    const node = await start();
    const first = await node.asked({ ttlMs: 60_000 });
    const second = await node.asked({ ttlMs: 1_000 });
    const third = await node.asked();
    await node.clock.advance(40_000);
    await node.store.unlock(first.grant.key);
    await node.clock.advance(999);
    expect(second.told).toEqual(["granted"]);
    expect(second.grant.waitedMs).toBe(40_000);
    expect(third.told).toEqual([]);
    await node.clock.advance(1);
    expect(second.told).toEqual(["granted", "lost: expired"]);
    expect(third.told).toEqual(["granted"]);
  });

  test("a renewal gives a full TTL again, or a new one", async () => {
    const node = await start();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    await node.clock.advance(900);
    await expect(node.store.renew(grant.key)).resolves.toBe(1_000);
    await node.clock.advance(900);
    await expect(node.store.renew(grant.key, { ttlMs: 3_000 })).resolves.toBe(3_000);
    await node.clock.advance(2_999);
    expect(told).toEqual(["granted"]);
    await node.clock.advance(1);
    expect(told).toEqual(["granted", "lost: expired"]);
    await expect(node.store.renew(grant.key)).rejects.toMatchObject({ reason: "not-held" });
  });

  test("two renewals at once both succeed", async () => {
    const node = await start();
    const { grant, told } = await node.asked({ ttlMs: 1_000 });
    const renewals = Promise.all([node.store.renew(grant.key), node.store.renew(grant.key)]);
    await expect(renewals).resolves.toEqual([1_000, 1_000]);
    expect(told).toEqual(["granted"]);
  });

  test("a claim renews and releases what it was granted, and nothing else", async () => {
    const node = await start();
    const { claim, told } = await node.asked({ ttlMs: 1_000 });
    const waiter = await node.asked();
    await expect(waiter.claim.renew({})).rejects.toMatchObject({ reason: "not-held" });
    await expect(waiter.claim.release()).rejects.toMatchObject({ reason: "not-held" });
    await expect(claim.renew({ ttlMs: 3_000 })).resolves.toBe(3_000);
    await expect(claim.renew({ ttlMs: 1 })).rejects.toMatchObject({ reason: "invalid-ttl" });
    await node.clock.advance(2_999);
    expect(told).toEqual(["granted"]);
    await claim.release();
    await node.clock.advance(0);
    expect([told, waiter.told]).toEqual([["granted"], ["granted"]]);
    await expect(claim.release()).rejects.toMatchObject({ reason: "not-held" });
    await expect(claim.renew({})).rejects.toMatchObject({ reason: "not-held" });
  });

  test("a requester that comes back with its key is told of the end from then on, and the one before it is not", async () => {
    const node = await start();
    const before = await node.asked({ ttlMs: 1_000 });
    const after = new Recorder();
    const resumed = await node.store.resume(before.grant.key, { ttlMs: 2_000 }, after);
    expect([resumed.ttlMs, before.told, after.told]).toEqual([2_000, ["granted", "lost: moved"], []]);
    await resumed.claim.renew({});
    await node.clock.advance(2_000);
    expect([before.told.length, after.told]).toEqual([2, ["lost: expired"]]);
  });

  test("a second unlock says that the key does not hold any more", async () => {
    const node = await start();
    const { grant } = await node.asked();
    const next = await node.asked();
    await node.store.unlock(grant.key);
    await expect(node.store.unlock(grant.key)).rejects.toMatchObject({ reason: "not-held" });
    await node.clock.advance(0);
    expect(next.told).toEqual(["granted"]);
  });

  test("a key of an earlier grant of the same ticket id opens nothing", async () => {
    const node = await start();
    const first = await node.asked({ ticket: 1 });
    await node.store.unlock(first.grant.key);
    await node.clock.advance(0);
    const second = await node.asked({ ticket: 1 });
    await expect(node.store.unlock(first.grant.key)).rejects.toMatchObject({ reason: "not-held" });
    await expect(node.store.renew(first.grant.key)).rejects.toMatchObject({ reason: "not-held" });
    expect(second.told).toEqual(["granted"]);
    expect(second.grant.token).toBeGreaterThan(first.grant.token);
  });

  test("an unlock and a renewal at once leave nothing held", async () => {
    const node = await start();
    const { grant, told } = await node.asked();
    const [unlocked, renewed] = await Promise.allSettled([node.store.unlock(grant.key), node.store.renew(grant.key)]);
    await node.clock.advance(0);
    expect(unlocked.status).toBe("fulfilled");
    expect(renewed).toMatchObject({ status: "rejected", reason: { reason: "not-held" } });
    expect(told).toEqual(["granted", "lost: released"]);
    expect((await node.asked({ waitMs: 0 })).told).toEqual(["granted"]);
  });

  test("what is wrong with a request is said at once", async () => {
    const node = await start();
    expect(() => node.ask({ name: "" })).toThrow(expect.objectContaining({ reason: "invalid-name" }));
    expect(() => node.ask({ name: "x".repeat(1025) })).toThrow(expect.objectContaining({ reason: "invalid-name" }));
    expect(() => node.ask({ ttlMs: 1 })).toThrow(expect.objectContaining({ reason: "invalid-ttl" }));
    expect(() => node.ask({ ttlMs: NaN })).toThrow(expect.objectContaining({ reason: "invalid-ttl" }));
    expect(() => node.ask({ waitMs: -1 })).toThrow(expect.objectContaining({ reason: "invalid-wait" }));
    expect(() => node.ask({ owner: "x".repeat(257) })).toThrow(expect.objectContaining({ reason: "invalid-owner" }));
    await expect(node.store.unlock(Buffer.from("?"))).rejects.toMatchObject({ reason: "invalid-key" });
    await expect(node.store.renew(Buffer.from("?"))).rejects.toMatchObject({ reason: "invalid-key" });
    expect(node.store.size).toBe(0);
  });
});

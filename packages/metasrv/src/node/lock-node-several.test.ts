import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { type Ask, NodeFixture, orders, scriptedNode } from "../../test-support/node-fixture.js";
import { ScriptedLog } from "../../test-support/scripted-log.js";
import { exclusive, shared } from "../model/ticket-content.js";
import type { ClaimRequest } from "./claim.js";

type More = Pick<ClaimRequest, "others">;

const and = (...names: readonly string[]): More => ({
  others: names.map((name) => ({ name: Buffer.from(name), share: exclusive })),
});

describe("several locks at once", () => {
  test("are granted with a floor and a limit for each, in the order of their names", async () => {
    const node = await scriptedNode();
    const before = await node.asked({ name: "b", share: shared });
    const { grant } = await node.asked({ name: "c", others: [{ name: Buffer.from("b"), share: shared }] });
    expect(grant.parts).toEqual([
      { floor: before.grant.token, limit: shared.limit },
      { floor: grant.token, limit: 1 },
    ]);
  });

  test("are told of once the last of them is free, and a refusal names the one that is not", async () => {
    const node = await scriptedNode();
    const [a, b] = [await node.asked({ name: "a" }), await node.asked({ name: "b" })];
    const tried = await node.asked({ name: "z", waitMs: 0, ...and("b") });
    expect(tried.refusals).toMatchObject([{ name: "b", holderToken: b.grant.token }]);
    const both = await node.asked({ name: "b", waitMs: 500, ...and("a") });
    await node.store.unlock(a.grant.key);
    await settled();
    expect(both.told).toEqual([]);
    await node.clock.advance(500);
    expect(both.errors).toMatchObject([{ reason: "wait-timed-out", state: { name: "b", position: 1 } }]);
    expect(both.errors[0]?.message).toContain('"b" is held by');
    const later = await node.asked({ name: "a", ...and("b") });
    await node.store.unlock(b.grant.key);
    await settled();
    expect(later.told).toEqual(["granted"]);
    await node.store.unlock(later.grant.key);
    await settled();
    expect(node.store.size).toBe(0);
  });

  test("keep their key over a renewal, and cannot be made shared", async () => {
    const node = await scriptedNode();
    const { grant } = await node.asked({ name: "a", ...and("b") });
    await expect(node.store.renew(grant.key, { downgrade: true })).rejects.toMatchObject({ reason: "invalid-mode" });
    expect(await node.store.renew(grant.key, { ttlMs: 7_000 })).toBe(7_000);
  });

  test("count as waiters of each of their locks", async () => {
    const node = await scriptedNode({ maxWaitersPerLock: 1 });
    await node.asked({ name: "b" });
    await node.asked({ name: "b" });
    expect(() => node.ask({ name: "a", ...and("b") })).toThrow(expect.objectContaining({ reason: "too-many-waiters" }));
  });

  test.each<[string, Ask, string]>([
    ["one lock twice", { name: "a", ...and("a") }, "invalid-parts"],
    ["17 locks", { name: "a", ...and(...Array.from({ length: 16 }, (_, n) => `b${n}`)) }, "invalid-parts"],
    ["an empty name", { name: "a", ...and("") }, "invalid-name"],
    ["9 labels", { labels: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`k${n}`, ""])) }, "invalid-labels"],
    ["an empty label", { labels: { "": "x" } }, "invalid-labels"],
    ["a long label", { labels: { k: "x".repeat(257) } }, "invalid-labels"],
    ["a long value", { value: Buffer.alloc(1025) }, "invalid-value"],
    ["no token within", { within: [{ name: Buffer.from("a"), token: 0n }] }, "invalid-within"],
    [
      "17 locks within",
      { within: Array.from({ length: 17 }, () => ({ name: Buffer.from("a"), token: 1n })) },
      "invalid-within",
    ],
  ])("with %s are refused", async (_, request, reason) => {
    const own = await scriptedNode();
    expect(() => own.ask(request)).toThrow(expect.objectContaining({ reason }));
    expect(own.store.size).toBe(0);
  });
});

describe("a cluster with a server that knows exclusive locks only", () => {
  test("takes none of them, nor values, nor force; and leaves out what only people read", async () => {
    const log = new ScriptedLog();
    log.level = 1;
    const node = await new NodeFixture(log).start();
    const tooOld = expect.objectContaining({ reason: "cluster-too-old" });
    expect(() => node.ask({ name: "a", ...and("b") })).toThrow(tooOld);
    expect(() => node.ask({ value: Buffer.from("x") })).toThrow(tooOld);
    const { grant } = await node.asked({ labels: { job: "nightly" }, within: [{ name: Buffer.from("b"), token: 1n }] });
    expect(node.log.commands).toMatchObject([{ kind: "create", content: { extras: undefined } }]);
    await expect(node.store.renew(grant.key, { value: Buffer.from("x") })).rejects.toEqual(tooOld);
    await expect(node.store.force(orders, grant.token, { actor: "", reason: "r" }, false)).rejects.toEqual(tooOld);
  });
});

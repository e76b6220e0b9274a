import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { pino } from "pino";
import { nodeOfThree, scriptedNode } from "../../test-support/node-fixture.js";
import { ScriptedLog } from "../../test-support/scripted-log.js";
import { defaultLimits } from "../model/limits.js";
import { LockNode } from "./lock-node.js";

describe("the view of the cluster", () => {
  test("lists the members oldest first, and the oldest leads", async () => {
    const { store, log } = await nodeOfThree();
    const ids = () => store.cluster.members().map(({ id }) => id);
    expect([ids(), store.cluster.leads, store.cluster.hasPeers]).toEqual([["n1", "n2", "n3"], true, true]);
    log.memberGoes("n1");
    log.joinAs("n4");
    expect([ids(), store.cluster.leads]).toEqual([["n2", "n3", "n4"], false]);
    log.memberGoes("n2");
    log.memberGoes("n3");
    log.deliver();
    expect([ids(), store.cluster.leads, store.cluster.hasPeers]).toEqual([["n4"], true, false]);
  });

  test("tells of every change of the members, and of nothing after that is not wanted any more", async () => {
    const { store, log } = await scriptedNode();
    const seen: number[] = [];
    const unwatch = store.cluster.watch(() => seen.push(store.cluster.members().length));
    log.memberJoins("n2");
    log.deliver();
    log.memberGoes("n2");
    log.relist();
    expect(seen).toEqual([2, 1]);
    unwatch();
    log.memberJoins("n3");
    log.deliver();
    expect(seen).toHaveLength(2);
  });

  test("is not told of tickets", async () => {
    const node = await scriptedNode();
    let changes = 0;
    node.store.cluster.watch(() => changes++);
    await node.asked();
    expect(changes).toBe(0);
  });

  test("knows nothing before the store was read", () => {
    const { store } = storeWith([]);
    expect(() => store.cluster.members()).toThrow(expect.objectContaining({ reason: "store-unavailable" }));
  });

  test("logs when the node leads, and when it does not any more", async () => {
    const lines: string[] = [];
    const { store, log } = storeWith(lines);
    log.memberJoins("n0");
    await store.start({ address: "a:1", version: "0", startedUnixMs: 0 });
    log.memberGoes("n0");
    log.deliver();
    log.membership.lost();
    expect(lines).toEqual([
      "joined",
      "leads now",
      "membership lost: no grants until this node has joined again",
      "does not lead any more",
    ]);
  });
});

function storeWith(lines: string[]): { readonly store: LockNode; readonly log: ScriptedLog } {
  const write = (line: string) => lines.push((JSON.parse(line) as { readonly msg: string }).msg);
  const log = new ScriptedLog();
  const logger = pino({}, { write });
  return { log, store: new LockNode({ log, clock: new ManualClock(), limits: defaultLimits, logger }) };
}

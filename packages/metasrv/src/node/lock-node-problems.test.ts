import { describe, expect, test } from "@jest/globals";
import { scriptedNode } from "../../test-support/node-fixture.js";

describe("what is wrong with a node", () => {
  test("is nothing while its membership is sure and its log is not behind", async () => {
    const { store, log } = await scriptedNode();
    expect(store.problems()).toEqual([]);
    log.lagging = "it is behind";
    expect(store.problems()).toEqual(["it is behind"]);
  });

  test("is that its membership may have ended, from the moment on at which it grants nothing any more", async () => {
    const { store, log, clock } = await scriptedNode();
    log.membership.extended(clock.now() + 1_000);
    await clock.advance(999);
    expect(store.problems()).toEqual([]);
    await clock.advance(1);
    expect(store.problems()).toEqual([expect.stringContaining("may not be a member of the cluster any more")]);
    log.membership.lost();
    expect(store.problems()).toEqual([expect.stringContaining("is not a member of the cluster")]);
    log.joinAs("n2");
    expect(store.problems()).toEqual([]);
  });

  test("is that it stops", async () => {
    const { store } = await scriptedNode();
    const stopped = store.stop();
    expect(store.problems()).toEqual(["it is stopping"]);
    await stopped;
  });
});

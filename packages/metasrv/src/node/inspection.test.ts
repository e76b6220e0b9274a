import { expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { inspected } from "../../test-support/inspected.js";
import { create, nameOf } from "../../test-support/told.js";
import { Fold } from "../fold/fold.js";
import type { LockName } from "../model/ticket-ref.js";

test.each([
  ["nothing", 0, 0, 0.1],
  ["other things for half of the time", 500, 0, 2],
  ["nothing but other things", 1_000, 0, 4],
  ["little, but entries are being written", 100, 3, 4],
])("while the event loop does %s, lists pause accordingly", async (_, activeMs, entriesUnderWay, pauseMs) => {
  const clock = new ManualClock();
  const fold = new Fold();
  fold.nowMs = () => clock.now();
  const entry = { level: 2, settled: 0, seen: undefined, commands: [create(1, "a"), create(2, "b")] };
  fold.apply({ memberId: "m1", sequence: 1, revision: 1n, entry }, true);
  let loopActiveMs = 0;
  const inspection = inspected(
    fold,
    clock,
    () => loopActiveMs,
    () => entriesUnderWay,
  );
  const all = { prefix: nameOf(""), waitingOnly: false, pageSize: 250, after: "" as LockName, minToken: 0n };
  /** Lists all locks. @returns how long it paused, in milliseconds */
  const list = async () => {
    const startedAtMs = clock.now();
    let names: readonly string[] | undefined;
    void inspection.list(all).then(({ locks }) => (names = locks.map(({ name }) => name)));
    await settled();
    while (names === undefined) {
      await clock.advance(0.1);
    }
    expect(names).toEqual(["a", "b"]);
    return clock.now() - startedAtMs;
  };
  await list();
  await clock.advance(1_000);
  loopActiveMs = activeMs;
  expect(await list()).toBe(0);
  expect(await list()).toBeCloseTo(pauseMs, 0);
  inspection.close();
});

import { describe, expect, test } from "@jest/globals";
import type { SummaryMessage } from "./inspect-messages.js";
import { LockBoard } from "./lock-board.js";

function lock(name: string, waiters = 0, oldestWaitMs = 0): SummaryMessage {
  return {
    name,
    state: { waiters, holders: [{ owner: "o", token: "1", permits: 1, heldMs: "5" }], holderCount: 1 },
    mode: "LOCK_MODE_EXCLUSIVE",
    oldestWaitMs: String(oldestWaitMs),
  };
}

/** The families with their locks, in the order in which they are shown. */
function shown(board: LockBoard) {
  return board.families().map(({ name, locks }) => [name, ...locks.map((row) => row.name.shown)]);
}

describe("the locks on the page", () => {
  test("come by family, and where somebody waits longest first", () => {
    const board = new LockBoard();
    const locks = [lock("a/1"), lock("a/2", 1, 50), lock("b/1", 2, 3_000), lock("b/2"), lock("c")];
    board.apply({ locks, complete: true }, 10_000);
    expect(shown(board)).toEqual([
      ["b/", "b/1", "b/2"],
      ["a/", "a/2", "a/1"],
      ["", "c"],
    ]);
    expect([board.locks, board.waiters, board.isComplete]).toEqual([5, 3, true]);
    expect(board.families()[0]).toMatchObject({ waiters: 2, waitingSinceMs: 7_000 });
  });

  test("change as the stream tells", () => {
    const board = new LockBoard();
    board.apply({ locks: [lock("a/1"), lock("b/1", 1, 100)], complete: true }, 1_000);
    expect(shown(board)).toEqual([
      ["b/", "b/1"],
      ["a/", "a/1"],
    ]);
    board.apply({ locks: [lock("b/1"), lock("a/0")], removed: [{ name: "nowhere" }] }, 2_000);
    expect(shown(board)).toEqual([
      ["a/", "a/0", "a/1"],
      ["b/", "b/1"],
    ]);
    board.apply({ removed: [{ name: "a/1" }, { name: "a/0" }] }, 3_000);
    expect(shown(board)).toEqual([["b/", "b/1"]]);
    expect([board.locks, board.waiters]).toEqual([1, 0]);
  });

  test("stay while a stream begins anew, and those that it does not tell of go when it has told all", () => {
    const board = new LockBoard();
    board.apply({ locks: [lock("a"), lock("b", 1, 10)], complete: true }, 1_000);
    board.begin();
    board.apply({ locks: [lock("a")] }, 2_000);
    expect([board.locks, board.isComplete]).toEqual([2, false]);
    board.apply({ complete: true }, 2_000);
    expect([board.locks, board.waiters, board.isComplete]).toEqual([1, 0, true]);
    board.apply({ restarted: true, complete: true }, 3_000);
    expect(board.locks).toBe(0);
  });

  test("do not change places because a message was longer on its way", () => {
    const board = new LockBoard();
    board.apply({ locks: [lock("a", 1, 1_000), lock("b", 1, 990)], complete: true }, 10_000);
    board.apply({ locks: [lock("a", 2, 2_000)] }, 11_100);
    expect(shown(board)).toEqual([["", "a", "b"]]);
  });
});

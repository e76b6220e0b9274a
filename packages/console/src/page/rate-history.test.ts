import { expect, test } from "@jest/globals";
import { RateHistory } from "./rate-history.js";

const board = { locks: 3, waiters: 2 };

test("rates are by the second, however long after the last sample", () => {
  const history = new RateHistory();
  history.sample(10_000, board);
  history.count({ granted: "30" });
  history.count({ granted: "10", expired: "4" });
  history.sample(12_000, board);
  expect(history.latest).toEqual({ granted: 20, expired: 2 });
  history.sample(13_000, board);
  expect(history.latest).toEqual({ granted: 0, expired: 0 });
  expect(history.counts.slice(1)).toEqual([
    [3, 3, 3],
    [2, 2, 2],
  ]);
});

test("the last ten minutes are kept, and no more", () => {
  const history = new RateHistory();
  for (let second = 1; second <= 601; second++) {
    history.count({ granted: String(second) });
    history.sample(second * 1_000, board);
  }
  const lines = [...history.rates, ...history.counts];
  expect(lines.map(({ length }) => length)).toEqual(Array.from({ length: 6 }, () => 600));
  const [, granted = []] = history.rates;
  expect(granted.at(-1)).toBe(601);
});

test("nothing is left of another prefix", () => {
  const history = new RateHistory();
  history.sample(1_000, board);
  history.count({ granted: "5" });
  history.clear();
  expect(history.rates).toEqual([[], [], []]);
  history.sample(2_000, board);
  expect(history.latest).toEqual({ granted: 0, expired: 0 });
});

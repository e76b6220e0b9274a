import { expect, test } from "@jest/globals";
import { shownDuration } from "./durations.js";

test.each([
  [-5, "0 s"],
  [59_999, "59 s"],
  [60_000, "1 min"],
  [185_000, "3 min 5 s"],
  [2 * 3_600_000 + 7 * 60_000, "2 h 7 min"],
  [(4 * 24 + 3) * 3_600_000, "4 d 3 h"],
])("%i ms is shown as %s", (ms, shown) => {
  expect(shownDuration(ms)).toBe(shown);
});

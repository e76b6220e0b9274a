import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "../../../test-support/manual-clock.js";
import { withPatience } from "./patience.js";

/** Attempts that take as long as the test says, or fail when that is too long; the time that each was given. */
function attempts() {
  const clock = new ManualClock();
  const given: number[] = [];
  const run = withPatience(clock, async (takesMs: number, timeoutMs) => {
    given.push(timeoutMs);
    await clock.advance(Math.min(takesMs, timeoutMs));
    if (takesMs > timeoutMs) {
      throw new Error("no answer in time");
    }
  });
  return {
    given,
    take: async (...times: number[]) => {
      for (const takesMs of times) {
        await run(takesMs).catch(() => undefined);
      }
    },
  };
}

describe("an attempt", () => {
  test("has little time as long as answers come fast", async () => {
    const { given, take } = attempts();
    await take(1, 10, 499, 1);
    expect(given).toEqual([500, 500, 500, 500]);
  });

  test("has more after each that failed, up to a bound", async () => {
    const { given, take } = attempts();
    await take(9_999, 9_999, 9_999, 9_999, 9_999);
    expect(given).toEqual([500, 1_000, 2_000, 4_000, 4_000]);
  });

  test("keeps it while answers are slow, so that not every other one fails", async () => {
    const { given, take } = attempts();
    await take(700, 700, 700, 700);
    expect(given).toEqual([500, 1_000, 1_000, 1_000]);
  });

  test("has little time again once answers come fast", async () => {
    const { given, take } = attempts();
    await take(9_999, 9_999, 300, 5, 5);
    expect(given).toEqual([500, 1_000, 2_000, 1_200, 500]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { withPatience } from "./attempts.js";

const never = 99_999;
const refused = -1;

/** Attempts that take as long as the test says, or fail when that is too long; the time that each was given. */
function attempts() {
  const clock = new ManualClock();
  const given: number[] = [];
  const run = withPatience(clock, async (takesMs: number, timeoutMs) => {
    given.push(timeoutMs);
    await clock.advance(Math.max(0, Math.min(takesMs, timeoutMs)));
    if (takesMs === refused || takesMs > timeoutMs) {
      throw new Error("no answer");
    }
  });
  const take = async (...times: number[]) => {
    given.length = 0;
    for (const takesMs of times) {
      await run(takesMs).catch(() => undefined);
    }
    return given.map(Math.round);
  };
  const times = (count: number, takesMs: number) => Array.from({ length: count }, () => takesMs);
  return { take, times };
}

describe("an attempt", () => {
  test("has much time at first, and less and less as answers come fast", async () => {
    const { take, times } = attempts();
    expect((await take(...times(40, 5))).filter((_, index) => index % 13 === 0)).toEqual([4_000, 1_017, 258, 250]);
  });

  test("has little time for as long as an election takes, and then ever more, up to a bound", async () => {
    const { take, times } = attempts();
    await take(...times(40, 5));
    expect(await take(...times(13, never))).toEqual([...times(8, 250), 500, 1_000, 2_000, 4_000, 4_000]);
  });

  test("has no more time because others failed at once", async () => {
    const { take, times } = attempts();
    await take(...times(40, 5));
    expect(await take(...times(20, refused), 1)).toEqual(times(21, 250));
  });

  test("has more time while answers are slow", async () => {
    const { take, times } = attempts();
    await take(...times(40, 5));
    expect(await take(200, 200, 5, 5)).toEqual([250, 800, 800, 720]);
  });

  test("is short in the next election, too", async () => {
    const { take, times } = attempts();
    await take(...times(40, 5), ...times(12, never), ...times(40, 5));
    expect(await take(...times(9, never))).toEqual([...times(8, 250), 500]);
  });
});

import { expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { Cancellation } from "./cancellation.js";
import { sleep } from "./sleep.js";

test("a sleep ends when it is cancelled, and leaves no timer", async () => {
  const clock = new ManualClock();
  const scope = new Cancellation();
  const slept = sleep(clock, 1_000, scope);
  await settled();
  scope.cancel(new Error("enough"));
  await expect(slept).rejects.toThrow("enough");
  expect(clock.timers).toBe(0);
  await expect(sleep(clock, 1_000, scope)).rejects.toThrow("enough");
});

import { expect, test } from "@jest/globals";
import { ManualClock } from "../../../test-support/manual-clock.js";
import { Backoff } from "./backoff.js";

/** How long it waits, in milliseconds. */
async function waited(clock: ManualClock, wait: Promise<void>): Promise<number> {
  const startedAtMs = clock.now();
  let waitedMs: number | undefined;
  void wait.then(() => (waitedMs = clock.now() - startedAtMs));
  await clock.advance(5_000);
  return waitedMs ?? Number.POSITIVE_INFINITY;
}

test("pauses get longer, up to about a second, until something succeeds", async () => {
  const clock = new ManualClock();
  const backoff = new Backoff(clock);
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 30; attempt++) {
    pauses.push(await waited(clock, backoff.wait()));
  }
  expect(pauses[0]).toBeLessThan(200);
  expect(Math.max(...pauses)).toBeGreaterThan(500);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(1_000);
  backoff.reset();
  expect(await waited(clock, backoff.wait())).toBeLessThan(200);
});

test("an attempt that took longer than the pause was pause enough, and makes the next no longer", async () => {
  const clock = new ManualClock();
  const backoff = new Backoff(clock);
  for (let attempt = 0; attempt < 30; attempt++) {
    expect(await waited(clock, backoff.wait(clock.now() - 250))).toBe(0);
  }
  expect(await waited(clock, backoff.wait(clock.now() - 10))).toBeLessThan(190);
});

import { setTimeout as pass } from "node:timers/promises";
import { expect } from "@jest/globals";
import { queueUp } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Far longer than any machine needs, and far shorter than it would take if the hold did not expire. */
const soonMs = 5_000;

/** Holds that end by themselves. Times are measured from before the request, so every lower bound is strict. */
export const expiryScenarios: readonly Scenario[] = [
  {
    title: "a hold ends with its TTL, not before, and the next waiter gets the lock soon after",
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(300);
      const startedAt = performance.now();
      await driver.lock(lock, { ttlMs: ttl });
      const { key } = await driver.lock(lock);
      const elapsed = performance.now() - startedAt;
      expect(elapsed).toBeGreaterThanOrEqual(ttl);
      expect(elapsed).toBeLessThan(ttl + soonMs);
      await driver.unlock(key);
    },
  },
  {
    title: "each of a row of waiters that never unlock has its full TTL",
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(150);
      const { key } = await driver.lock(lock);
      const waiters = [];
      for (let place = 0; place < 2; place++) {
        waiters.push(await queueUp(driver, lock, { ttlMs: ttl }));
      }
      const last = await queueUp(driver, lock);
      const unlockedAt = performance.now();
      await driver.unlock(key);
      for (const [place, { granted }] of [...waiters, last].entries()) {
        await granted;
        expect(performance.now() - unlockedAt).toBeGreaterThanOrEqual(place * ttl);
      }
      await driver.unlock((await last.granted).key);
    },
  },
  {
    title: "the TTL does not run while the lock is waited for",
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(200);
      const { key } = await driver.lock(lock);
      const waiter = await queueUp(driver, lock, { ttlMs: ttl });
      const next = await queueUp(driver, lock);
      // The waiter's TTL would be over by now.
      await pass(1.5 * ttl);
      const unlockedAt = performance.now();
      await driver.unlock(key);
      await waiter.granted;
      const last = await next.granted;
      expect(performance.now() - unlockedAt).toBeGreaterThanOrEqual(ttl);
      await driver.unlock(last.key);
    },
  },
  {
    title: "a lock that was released does not take the next holder's with it when its TTL would have ended",
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(200);
      const { key } = await driver.lock(lock, { ttlMs: ttl });
      await driver.unlock(key);
      const startedAt = performance.now();
      await driver.lock(lock, { ttlMs: 2 * ttl });
      const last = await driver.lock(lock);
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(2 * ttl);
      await driver.unlock(last.key);
    },
  },
];

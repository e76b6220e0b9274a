import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { queueUp, waitersAre } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Waits that end by themselves. */
export const waitScenarios: readonly Scenario[] = [
  {
    title: "a wait is over when its time has passed, not before, and says who holds and how many wait",
    needs: ["wait-time-out"],
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock, { owner: "orders-7" });
      const other = await queueUp(driver, lock);
      const startedAt = performance.now();
      const failure = await failureOf(driver.lock(lock, { waitMs: 150 }));
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(150);
      expect(failure.reason).toBe("wait-timed-out");
      expect(failure.state).toMatchObject({ holderOwner: "orders-7", holderToken: holder.token });
      expect(failure.state?.waiters).toBeGreaterThanOrEqual(1);
      expect(failure.message).toContain("orders-7");
      await waitersAre(driver, lock, 1);
      await driver.unlock(holder.key);
      await driver.unlock((await other.granted).key);
    },
  },
  {
    title: "a wait that ends does not disturb those behind it",
    needs: ["wait-time-out"],
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock);
      // Long enough for the next one to queue up meanwhile.
      const failing = driver.lock(lock, { waitMs: 3_000 });
      const failure = failureOf(failing);
      await waitersAre(driver, lock, 1);
      const behind = await queueUp(driver, lock);
      expect((await failure).reason).toBe("wait-timed-out");
      await waitersAre(driver, lock, 1);
      await driver.unlock(holder.key);
      await driver.unlock((await behind.granted).key);
    },
  },
  {
    title: "a wait that could be long ends with the grant",
    needs: ["wait-time-out"],
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock);
      const waiter = await queueUp(driver, lock, { waitMs: 60_000 });
      await driver.unlock(holder.key);
      await driver.unlock((await waiter.granted).key);
    },
  },
];

import { expect } from "@jest/globals";
import { queueUp, waitersAre } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Taking a lock only if it is free. */
export const tryLockScenarios: readonly Scenario[] = [
  {
    title: "a free lock is granted",
    needs: ["try-lock"],
    async run({ driver, name }) {
      const lock = name();
      const answer = await driver.tryLock(lock);
      if (!("granted" in answer)) {
        throw new Error("refused");
      }
      expect((await driver.observe(lock)).holderToken).toBe(answer.granted.token);
      await driver.unlock(answer.granted.key);
    },
  },
  {
    title: "a taken lock is refused, and the refused does not wait",
    needs: ["try-lock"],
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      expect(await driver.tryLock(lock)).toHaveProperty("refused");
      expect(await driver.observe(lock)).toMatchObject({ waiters: 0 });
      await driver.unlock(key);
      const answer = await driver.tryLock(lock);
      if (!("granted" in answer)) {
        throw new Error("refused");
      }
      await driver.unlock(answer.granted.key);
    },
  },
  {
    title: "a refusal says who holds and how many wait",
    needs: ["try-lock", "refusal-state"],
    async run({ driver, name }) {
      const lock = name();
      const { key, token } = await driver.lock(lock, { owner: "orders-7" });
      const waiter = await queueUp(driver, lock);
      expect(await driver.tryLock(lock)).toEqual({
        refused: { holderOwner: "orders-7", holderToken: token, waiters: 1, holderCount: 1, permitsHeld: 1, limit: 1 },
      });
      await driver.unlock(key);
      await driver.unlock((await waiter.granted).key);
    },
  },
  {
    title: "of 50 at once on a free lock, one is granted",
    needs: ["try-lock"],
    async run({ driver, name }) {
      const lock = name();
      const answers = await Promise.all(Array.from({ length: 50 }, () => driver.tryLock(lock)));
      const grants = answers.flatMap((answer) => ("granted" in answer ? [answer.granted] : []));
      expect(grants).toHaveLength(1);
      await waitersAre(driver, lock, 0);
      for (const { key } of grants) {
        expect(await driver.unlock(key)).toBe("released");
      }
    },
  },
];

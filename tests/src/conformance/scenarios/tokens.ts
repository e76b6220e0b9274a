import { expect } from "@jest/globals";
import type { Scenario } from "../scenario.js";

/** Fencing tokens of a lock rise with every grant. */
export const tokenScenarios: readonly Scenario[] = [
  {
    title: "every grant has a higher token than the one before",
    needs: ["tokens"],
    async run({ driver, name }) {
      const lock = name();
      let last = 0n;
      for (let grant = 0; grant < 20; grant++) {
        const { key, token } = await driver.lock(lock);
        expect(token).toBeGreaterThan(last);
        last = token;
        await driver.unlock(key);
      }
    },
  },
  {
    title: "a waiter's token is higher than that of the holder that expired",
    needs: ["tokens"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const expiring = await driver.lock(lock, { ttlMs: ttlMs(150) });
      const next = await driver.lock(lock);
      expect(next.token).toBeGreaterThan(expiring.token);
      await driver.unlock(next.key);
    },
  },
];

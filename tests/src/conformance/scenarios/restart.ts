import { expect } from "@jest/globals";
import { tokenIn } from "../forged-key.js";
import type { Scenario } from "../scenario.js";

/** A node goes and another comes, on the same store. */
export const restartScenarios: readonly Scenario[] = [
  {
    title: "tokens go on rising, and an old key opens its own grant if that outlived the node, and nothing else",
    alone: true,
    async run({ driver, name, has }) {
      const [lock, held] = [name(), name()];
      const before = await driver.lock(lock);
      await driver.unlock(before.key);
      const { key } = await driver.lock(held);
      await driver.restart();

      const after = await driver.lock(lock);
      expect(tokenIn(after.key)).toBeGreaterThan(tokenIn(before.key));
      await driver.unlock(before.key);
      expect((await driver.observe(lock)).holderToken).toBe(tokenIn(after.key));
      await driver.unlock(after.key);

      if (has("durable")) {
        expect(await driver.unlock(key)).toBe("released");
      } else {
        const next = await driver.lock(held);
        expect(await driver.unlock(key)).toBe(has("unlock-outcome") ? "not-held" : "released");
        expect((await driver.observe(held)).holderToken).toBe(tokenIn(next.key));
        await driver.unlock(next.key);
      }
    },
  },
  {
    title: "a hold outlives its node, and does not end before its TTL",
    needs: ["durable"],
    alone: true,
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(800);
      const startedAt = performance.now();
      const { key } = await driver.lock(lock, { ttlMs: ttl });
      await driver.restart();
      const next = await driver.lock(lock);
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(ttl);
      expect(tokenIn(next.key)).toBeGreaterThan(tokenIn(key));
      await driver.unlock(next.key);
    },
  },
];

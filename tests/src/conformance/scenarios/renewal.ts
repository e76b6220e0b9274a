import { setTimeout as pass } from "node:timers/promises";
import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { forgedKey } from "../forged-key.js";
import { becomesFree, queueUp } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** A client knows that a lock was renewed only if the answer comes before the TTL is over, on any machine. */
const answeredWithinMs = 2_000;

/** Holds that are made longer. */
export const renewalScenarios: readonly Scenario[] = [
  {
    title: "a renewal gives the full TTL again",
    needs: ["renewal"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ttl = ttlMs(answeredWithinMs);
      const { key } = await driver.lock(lock, { ttlMs: ttl });
      const waiter = await queueUp(driver, lock);
      // Part of the TTL must have passed, or a renewal would not show.
      await pass(ttl / 4);
      const renewedAt = performance.now();
      expect(await driver.renew(key)).toBe("renewed");
      const next = await waiter.granted;
      expect(performance.now() - renewedAt).toBeGreaterThanOrEqual(ttl);
      await driver.unlock(next.key);
    },
  },
  {
    title: "a renewal can change the TTL",
    needs: ["renewal"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const { key } = await driver.lock(lock, { ttlMs: 60_000 });
      const waiter = await queueUp(driver, lock);
      const ttl = ttlMs(answeredWithinMs);
      const renewedAt = performance.now();
      expect(await driver.renew(key, ttl)).toBe("renewed");
      const next = await waiter.granted;
      expect(performance.now() - renewedAt).toBeGreaterThanOrEqual(ttl);
      await driver.unlock(next.key);
    },
  },
  {
    title: "renewals at the same time are all taken, and the lock stays held",
    needs: ["renewal"],
    async run({ driver, name }) {
      const lock = name();
      const { key, token } = await driver.lock(lock, { ttlMs: 60_000 });
      const answers = await Promise.all(Array.from({ length: 20 }, () => driver.renew(key)));
      expect(new Set(answers)).toEqual(new Set(["renewed"]));
      expect(await driver.observe(lock)).toMatchObject({ holderToken: token });
      expect(await driver.unlock(key)).toBe("released");
    },
  },
  {
    title: "a renewal after the TTL is refused, and does not touch the next holder",
    needs: ["renewal"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const { key } = await driver.lock(lock, { ttlMs: ttlMs(100) });
      const next = await driver.lock(lock);
      expect(await driver.renew(key)).toBe("not-held");
      expect(await driver.observe(lock)).toMatchObject({ holderToken: next.token });
      await driver.unlock(next.key);
    },
  },
  {
    title: "a renewal after the unlock is refused",
    needs: ["renewal"],
    async run({ driver, name }) {
      const { key } = await driver.lock(name());
      await driver.unlock(key);
      expect(await driver.renew(key)).toBe("not-held");
    },
  },
  {
    title: "a renewal and an unlock at the same time leave nothing held",
    needs: ["renewal"],
    async run({ driver, name }) {
      const lock = name();
      for (let round = 0; round < 10; round++) {
        const { key } = await driver.lock(lock, { ttlMs: 60_000 });
        const [, unlocked] = await Promise.all([driver.renew(key), driver.unlock(key)]);
        expect(unlocked).toBe("released");
        await becomesFree(driver, lock);
      }
    },
  },
  {
    title: "a renewal with bytes that are no key is refused, and one with a forged key does nothing",
    needs: ["renewal", "renewal-by-key"],
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      expect((await failureOf(driver.renew(Buffer.from("no key")))).reason).toBe("invalid-key");
      expect(await driver.renew(forgedKey(key, { ticketId: new Uint8Array(16) }))).toBe("not-held");
      await driver.unlock(key);
    },
  },
];

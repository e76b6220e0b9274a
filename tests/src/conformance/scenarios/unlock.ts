import { randomBytes } from "node:crypto";
import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { forgedKey, tokenIn } from "../forged-key.js";
import type { Scenario } from "../scenario.js";

/** Giving locks back, with keys good and bad. */
export const unlockScenarios: readonly Scenario[] = [
  {
    title: "a second unlock is harmless, says so, and leaves the next holder alone",
    async run({ driver, name, has }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      expect(await driver.unlock(key)).toBe("released");
      expect(await driver.unlock(key)).toBe(has("unlock-outcome") ? "not-held" : "released");
      const next = await driver.lock(lock);
      await driver.unlock(key);
      expect((await driver.observe(lock)).holderToken).toBe(tokenIn(next.key));
      expect(await driver.unlock(next.key)).toBe("released");
    },
  },
  {
    title: "an unlock after the TTL is harmless, says so, and leaves the next holder alone",
    async run({ driver, name, ttlMs, has }) {
      const lock = name();
      const { key } = await driver.lock(lock, { ttlMs: ttlMs(100) });
      const next = await driver.lock(lock);
      expect(await driver.unlock(key)).toBe(has("unlock-outcome") ? "not-held" : "released");
      expect((await driver.observe(lock)).holderToken).toBe(tokenIn(next.key));
      await driver.unlock(next.key);
    },
  },
  {
    title: "of many unlocks at the same time, one releases",
    needs: ["unlock-outcome"],
    async run({ driver, name }) {
      const { key } = await driver.lock(name());
      const answers = await Promise.all(Array.from({ length: 10 }, () => driver.unlock(key)));
      expect(answers.filter((answer) => answer === "released")).toHaveLength(1);
    },
  },
  {
    title: "the key of one lock does not open another",
    async run({ driver, name }) {
      const [lock, other] = [name(), name()];
      const held = await driver.lock(lock);
      const { key } = await driver.lock(other);
      await driver.unlock(key);
      expect((await driver.observe(lock)).holderToken).toBe(tokenIn(held.key));
      await driver.unlock(held.key);
    },
  },
  {
    title: "forged keys open nothing",
    async run({ driver, name, has }) {
      const [lock, other] = [name(), name()];
      const { key } = await driver.lock(lock);
      const foreign = await driver.lock(other);
      const token = tokenIn(key);
      for (const change of [
        { ticketId: randomBytes(16) },
        { ticketId: new Uint8Array(16) },
        { token: token + 1n },
        { token: token - 1n },
        { token: tokenIn(foreign.key) },
        { name: other },
        { name: Buffer.from("../members") },
      ]) {
        expect(await driver.unlock(forgedKey(key, change))).toBe(has("unlock-outcome") ? "not-held" : "released");
      }
      expect((await driver.observe(lock)).holderToken).toBe(token);
      expect(await driver.unlock(key)).toBe("released");
      expect(await driver.unlock(foreign.key)).toBe("released");
    },
  },
  {
    title: "bytes that are no key are refused",
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      for (const bytes of [
        new Uint8Array(),
        Buffer.from("no key"),
        Buffer.alloc(64, 0xff),
        Buffer.alloc(64),
        lock,
        key.subarray(1),
        key.subarray(0, -1),
        forgedKey(key, { ticketId: new Uint8Array(15) }),
        forgedKey(key, { ticketId: new Uint8Array(17) }),
        forgedKey(key, { name: new Uint8Array() }),
        forgedKey(key, { name: new Uint8Array(1025) }),
        forgedKey(key, { token: 0n }),
        forgedKey(key, { token: 2n ** 64n - 1n }),
        new Uint8Array(10_000),
      ]) {
        expect(["invalid-key", "invalid-argument"]).toContain((await failureOf(driver.unlock(bytes))).reason);
      }
      expect((await driver.observe(lock)).holderToken).toBe(tokenIn(key));
      expect(await driver.unlock(key)).toBe("released");
    },
  },
];

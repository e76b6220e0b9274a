import { randomBytes } from "node:crypto";
import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { queueUp, waitersAre } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Requests that are repeated. */
export const ticketIdScenarios: readonly Scenario[] = [
  {
    title: "a request repeated while it waits keeps its place, and the earlier one learns of it",
    needs: ["ticket-ids"],
    async run({ driver, name }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const { key } = await driver.lock(lock);
      const earlier = await queueUp(driver, lock, { ticketId });
      const behind = await queueUp(driver, lock);
      const repeated = driver.lock(lock, { ticketId });
      expect((await failureOf(earlier.granted)).reason).toBe("superseded");
      await waitersAre(driver, lock, 2);
      await driver.unlock(key);
      const first = await repeated;
      await driver.unlock(first.key);
      const second = await behind.granted;
      expect(second.token).toBeGreaterThan(first.token);
      await driver.unlock(second.key);
    },
  },
  {
    title: "a request repeated after its grant confirms the same token and key, and the TTL begins anew",
    needs: ["ticket-ids"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const ttl = ttlMs(1_500);
      const grant = await driver.lock(lock, { ticketId, ttlMs: ttl });
      const waiter = await queueUp(driver, lock);
      const repeatedAt = performance.now();
      const again = await driver.lock(lock, { ticketId, ttlMs: ttl });
      expect(again.token).toBe(grant.token);
      expect(Buffer.from(again.key)).toEqual(Buffer.from(grant.key));
      const next = await waiter.granted;
      expect(performance.now() - repeatedAt).toBeGreaterThanOrEqual(ttl);
      await driver.unlock(next.key);
    },
  },
  {
    title: "a request repeated after its release is a new one, which the old key does not open",
    needs: ["ticket-ids"],
    async run({ driver, name }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const old = await driver.lock(lock, { ticketId });
      await driver.unlock(old.key);
      const grant = await driver.lock(lock, { ticketId });
      expect(grant.token).toBeGreaterThan(old.token);
      expect(await driver.unlock(old.key)).toBe("not-held");
      expect(await driver.unlock(grant.key)).toBe("released");
    },
  },
  {
    title: "a request repeated many times at once is granted once",
    needs: ["ticket-ids"],
    async run({ driver, name }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => driver.lock(lock, { ticketId })));
      const grants = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      expect(grants.length).toBeGreaterThanOrEqual(1);
      expect(new Set(grants.map(({ token }) => token)).size).toBe(1);
      await waitersAre(driver, lock, 0);
      expect(await driver.unlock(grants[0]?.key ?? new Uint8Array())).toBe("released");
    },
  },
  {
    title: "a wait that is repeated without waiting is refused",
    needs: ["ticket-ids", "try-lock"],
    async run({ driver, name }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const { key } = await driver.lock(lock, { ttlMs: 60_000 });
      const earlier = await queueUp(driver, lock, { ticketId });
      const bound = AbortSignal.timeout(3_000);
      expect(await driver.tryLock(lock, { ticketId, signal: bound })).toHaveProperty("refused");
      expect((await failureOf(earlier.granted)).reason).toBe("superseded");
      await waitersAre(driver, lock, 0);
      await driver.unlock(key);
    },
  },
  {
    title: "a request that comes after a later one of the same ticket is outdated, and changes nothing",
    needs: ["ticket-ids"],
    async run({ driver, name }) {
      const lock = name();
      const ticketId = randomBytes(16);
      const { key } = await driver.lock(lock);
      const live = await queueUp(driver, lock, { ticketId, attempt: 2 });
      expect((await failureOf(driver.lock(lock, { ticketId, attempt: 1 }))).reason).toBe("superseded");
      await waitersAre(driver, lock, 1);
      await driver.unlock(key);
      const grant = await live.granted;
      expect((await failureOf(driver.lock(lock, { ticketId, attempt: 1 }))).reason).toBe("superseded");
      expect(await driver.unlock(grant.key)).toBe("released");
    },
  },
  {
    title: "one ticket id on two locks is two tickets",
    needs: ["ticket-ids"],
    async run({ driver, name }) {
      const ticketId = randomBytes(16);
      const one = await driver.lock(name(), { ticketId });
      const other = await driver.lock(name(), { ticketId });
      expect(await driver.unlock(one.key)).toBe("released");
      expect(await driver.unlock(other.key)).toBe("released");
    },
  },
];

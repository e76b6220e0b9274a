import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import type { DriverGrant, DriverShare, LockAsk, LockDriver } from "../lock-driver.js";
import { becomesFree, queueUp, waitersAre } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Asks for these locks besides the first. */
function and(...others: readonly (Uint8Array | { readonly name: Uint8Array; readonly share: DriverShare })[]): LockAsk {
  return { others: others.map((other) => (other instanceof Uint8Array ? { name: other } : other)) };
}

async function takes(driver: LockDriver, lock: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant | undefined> {
  const answer = await driver.tryLock(lock, ask);
  return "granted" in answer ? answer.granted : undefined;
}

/** A client knows that a lock was renewed only if the answer comes before the new TTL is over, on any machine. */
const answeredWithinMs = 2_000;

/** Several locks that are asked for at once. */
export const severalScenarios: readonly Scenario[] = [
  {
    title: "are held together, with one token, and given back together",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b, c] = [name(), name(), name()];
      const before = await driver.lock(b, { share: "shared" });
      const held = await driver.lock(c, and(a, { name: b, share: "shared" }));
      expect(held.token).toBeGreaterThan(before.token);
      expect(held.floors).toEqual([held.token, before.token, held.token]);
      for (const lock of [a, b, c]) {
        expect(await takes(driver, lock)).toBeUndefined();
      }
      expect(await driver.unlock(held.key)).toBe("released");
      expect(await driver.unlock(held.key)).toBe("not-held");
      expect(await driver.unlock(before.key)).toBe("released");
      await Promise.all([a, b, c].map((lock) => becomesFree(driver, lock)));
    },
  },
  {
    title: "are all or none: one that is taken keeps the others, and is waited for in its place",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b] = [name(), name()];
      const holder = await driver.lock(b);
      const both = await queueUp(driver, b, and(a));
      // The free one is kept for who waits for both.
      expect(await driver.observe(a)).toMatchObject({ holderCount: 1, waiters: 0 });
      expect(await takes(driver, a)).toBeUndefined();
      const later = await queueUp(driver, a);
      await driver.unlock(holder.key);
      const { key, token } = await both.granted;
      expect(token).toBeGreaterThan(holder.token);
      expect(await takes(driver, b)).toBeUndefined();
      await driver.unlock(key);
      await driver.unlock((await later.granted).key);
    },
  },
  {
    title: "are taken at once if all of them are free, and else none is",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b, c] = [name(), name(), name()];
      const holder = await driver.lock(b);
      expect(await takes(driver, a, and(b, c))).toBeUndefined();
      const other = await takes(driver, a, and(c));
      expect(other).toBeDefined();
      await driver.unlock(other?.key ?? new Uint8Array());
      await driver.unlock(holder.key);
      const all = await takes(driver, a, and(b, c));
      expect(all?.floors).toEqual([all?.token, all?.token, all?.token]);
      await driver.unlock(all?.key ?? new Uint8Array());
    },
  },
  {
    title: "never wait for each other in a circle, whatever order they are named in",
    needs: ["sharing"],
    async run({ driver, name }) {
      const locks = [name(), name(), name(), name()];
      const pairs = locks.flatMap((first, n) => locks.slice(0, n).map((second) => [first, second] as const));
      const held = new Map<string, number>();
      const use = async ([first, second]: readonly [Uint8Array, Uint8Array]): Promise<void> => {
        const { key } = await driver.lock(first, and(second));
        for (const lock of [first, second]) {
          const text = Buffer.from(lock).toString();
          expect(held.get(text) ?? 0).toBe(0);
          held.set(text, 1);
        }
        await new Promise((resolve) => setImmediate(resolve));
        held.set(Buffer.from(first).toString(), 0);
        held.set(Buffer.from(second).toString(), 0);
        await driver.unlock(key);
      };
      const rounds = [...pairs, ...pairs.map(([first, second]) => [second, first] as const)];
      await Promise.all([...rounds, ...rounds].map(use));
    },
  },
  {
    title: "of mixed kinds are held by the rule of each",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b] = [name(), name()];
      const permits = { permits: 2, limit: 3 };
      const one = await driver.lock(a, { share: "shared", ...and({ name: b, share: permits }) });
      expect(await takes(driver, a, { share: "shared", ...and({ name: b, share: permits }) })).toBeUndefined();
      const two = await takes(driver, a, { share: "shared", ...and({ name: b, share: { permits: 1, limit: 3 } }) });
      expect(two).toBeDefined();
      const writer = await queueUp(driver, a, and(b));
      await driver.unlock(one.key);
      await driver.unlock(two?.key ?? new Uint8Array());
      await driver.unlock((await writer.granted).key);
    },
  },
  {
    title: "leave nothing behind when the wait is over or given up",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b, c] = [name(), name(), name()];
      const holder = await driver.lock(b);
      expect(await failureOf(driver.lock(a, { ...and(b, c), waitMs: 30 }))).toMatchObject({ reason: "wait-timed-out" });
      const abort = new AbortController();
      const waiting = driver.lock(c, { ...and(a, b), signal: abort.signal });
      waiting.catch(() => undefined);
      await waitersAre(driver, b, 1);
      abort.abort();
      await expect(waiting).rejects.toThrow();
      await waitersAre(driver, b, 0);
      await Promise.all([a, c].map((lock) => becomesFree(driver, lock)));
      await driver.unlock(holder.key);
    },
  },
  {
    title: "are renewed together, and end together with their TTL",
    needs: ["sharing"],
    async run({ driver, name, ttlMs }) {
      const [a, b] = [name(), name()];
      const { key } = await driver.lock(a, { ...and(b), ttlMs: ttlMs(60_000) });
      expect(await driver.renew(key)).toBe("renewed");
      expect(await driver.renew(key, ttlMs(answeredWithinMs))).toBe("renewed");
      await Promise.all([a, b].map((lock) => becomesFree(driver, lock)));
      expect(await driver.renew(key)).toBe("not-held");
    },
  },
  {
    title: "that name a lock twice are refused",
    needs: ["sharing"],
    async run({ driver, name }) {
      const a = name();
      const { reason } = await failureOf(driver.lock(a, and(a)));
      expect(["invalid-parts", "invalid-argument"]).toContain(reason);
      expect(await driver.observe(a)).toMatchObject({ holderToken: 0n });
    },
  },
];

/** Locks that an operator takes away. */
export const forceScenarios: readonly Scenario[] = [
  {
    title: "hits the ticket with that token, and nobody else",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock);
      const waiter = await queueUp(driver, lock);
      expect(await driver.force(lock, holder.token + 1n)).toBe("not-held");
      expect(await driver.force(name(), holder.token)).toBe("not-held");
      expect(await driver.force(lock, holder.token)).toBe("released");
      const { key, token } = await waiter.granted;
      expect(token).toBeGreaterThan(holder.token);
      expect(await driver.force(lock, holder.token)).toBe("not-held");
      expect(await driver.renew(holder.key)).toBe("not-held");
      expect(await driver.unlock(holder.key)).toBe("not-held");
      expect(await driver.unlock(key)).toBe("released");
    },
  },
  {
    title: "takes all of several locks that are held together, by any of their names",
    needs: ["sharing"],
    async run({ driver, name }) {
      const [a, b, c] = [name(), name(), name()];
      const held = await driver.lock(a, and(b, c));
      expect(await driver.force(c, held.token)).toBe("released");
      await Promise.all([a, b, c].map((lock) => becomesFree(driver, lock)));
      expect(await driver.renew(held.key)).toBe("not-held");
    },
  },
];

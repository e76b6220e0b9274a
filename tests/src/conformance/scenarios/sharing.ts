import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import type { DriverGrant, LockAsk, LockDriver } from "../lock-driver.js";
import { becomesFree, queueUp } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

const shared: LockAsk = { share: "shared" };
const of = (permits: number, limit: number): LockAsk => ({ share: { permits, limit } });

async function takes(driver: LockDriver, lock: Uint8Array, ask: LockAsk): Promise<DriverGrant | undefined> {
  const answer = await driver.tryLock(lock, ask);
  return "granted" in answer ? answer.granted : undefined;
}

async function unlockAll(driver: LockDriver, grants: readonly (DriverGrant | undefined)[]): Promise<void> {
  for (const grant of grants) {
    if (grant !== undefined) {
      expect(await driver.unlock(grant.key)).toBe("released");
    }
  }
}

/** Locks that several hold at a time. */
export const sharingScenarios: readonly Scenario[] = [
  {
    title: "shared holders are there together, and nobody beside an exclusive one",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const readers = await Promise.all(Array.from({ length: 20 }, () => driver.lock(lock, shared)));
      expect(await driver.observe(lock)).toMatchObject({ holderCount: 20, permitsHeld: 20, waiters: 0 });
      expect(await takes(driver, lock, {})).toBeUndefined();
      const writer = await queueUp(driver, lock);
      await unlockAll(driver, readers);
      const { key } = await writer.granted;
      expect(await takes(driver, lock, shared)).toBeUndefined();
      await driver.unlock(key);
    },
  },
  {
    title:
      "a shared request does not overtake an exclusive one that waits, and all shared ones up to the next get in at once",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const first = await driver.lock(lock, shared);
      const writer = await queueUp(driver, lock);
      const readers = [await queueUp(driver, lock, shared), await queueUp(driver, lock, shared)];
      const last = await queueUp(driver, lock);
      expect(await takes(driver, lock, shared)).toBeUndefined();
      await driver.unlock(first.key);
      await driver.unlock((await writer.granted).key);
      const grants = await Promise.all(readers.map(({ granted }) => granted));
      expect(await driver.observe(lock)).toMatchObject({ holderCount: 2, waiters: 1 });
      await unlockAll(driver, grants);
      await driver.unlock((await last.granted).key);
    },
  },
  {
    title: "a writer that gives up lets the readers in that waited behind it",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const first = await driver.lock(lock, shared);
      const abort = new AbortController();
      const writer = await queueUp(driver, lock, { signal: abort.signal });
      const reader = await queueUp(driver, lock, shared);
      abort.abort();
      await expect(writer.granted).rejects.toThrow();
      await unlockAll(driver, [first, await reader.granted]);
    },
  },
  {
    title: "a semaphore is held up to its limit, by permits, and in order",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const [one, two] = [await driver.lock(lock, of(2, 5)), await driver.lock(lock, of(2, 5))];
      expect(await takes(driver, lock, of(2, 5))).toBeUndefined();
      const large = await queueUp(driver, lock, of(3, 5));
      // There is a permit left, but whoever waits is not overtaken.
      expect(await takes(driver, lock, of(1, 5))).toBeUndefined();
      const small = await queueUp(driver, lock, of(1, 5));
      await driver.unlock(one.key);
      const grants = [await large.granted];
      expect(await driver.observe(lock)).toMatchObject({ permitsHeld: 5, limit: 5, waiters: 1 });
      await driver.unlock(two.key);
      grants.push(await small.granted);
      await unlockAll(driver, grants);
    },
  },
  {
    title: "of 50 at once, a semaphore of 8 lets in 8 without waiting",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const answers = await Promise.all(Array.from({ length: 50 }, () => takes(driver, lock, of(1, 8))));
      expect(answers.filter((answer) => answer !== undefined)).toHaveLength(8);
      await unlockAll(driver, answers);
      await becomesFree(driver, lock);
    },
  },
  {
    title: "requests that disagree on the limit are served by the smallest one among the holders",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const before = await Promise.all([1, 2, 3].map(() => driver.lock(lock, of(1, 3))));
      // The limit is raised to 5: it counts once the last holder has gone that knew 3.
      const fourth = await queueUp(driver, lock, of(1, 5));
      await driver.unlock(before[0]?.key ?? new Uint8Array());
      const after = [await fourth.granted];
      expect(await takes(driver, lock, of(1, 5))).toBeUndefined();
      await unlockAll(driver, before.slice(1));
      for (let n = 2; n <= 5; n++) {
        after.push(await driver.lock(lock, of(1, 5)));
      }
      expect(after.at(-1)?.limit).toBe(5);
      // It is lowered again: nobody is thrown out, and nobody gets in until two have gone.
      expect(await takes(driver, lock, of(1, 3))).toBeUndefined();
      const third = await queueUp(driver, lock, of(1, 3));
      await unlockAll(driver, after.slice(0, 3));
      const late = await third.granted;
      expect(late.limit).toBe(3);
      await unlockAll(driver, [...after.slice(3), late]);
    },
  },
  {
    title: "the permits of a holder whose TTL has passed are free again",
    needs: ["sharing"],
    async run({ driver, name, ttlMs }) {
      const lock = name();
      // Long enough for the waiter to queue up meanwhile.
      await driver.lock(lock, { ...of(2, 5), ttlMs: ttlMs(3_000) });
      const other = await driver.lock(lock, { ...of(2, 5), ttlMs: 60_000 });
      const waiter = await queueUp(driver, lock, of(3, 5));
      await unlockAll(driver, [await waiter.granted, other]);
    },
  },
  {
    title: "a release gives back what was taken, once",
    needs: ["sharing", "unlock-outcome"],
    async run({ driver, name }) {
      const lock = name();
      const [one, two] = [await driver.lock(lock, of(2, 4)), await driver.lock(lock, of(2, 4))];
      expect(await driver.unlock(one.key)).toBe("released");
      expect(await driver.unlock(one.key)).toBe("not-held");
      expect(await driver.observe(lock)).toMatchObject({ permitsHeld: 2 });
      await unlockAll(driver, [two]);
    },
  },
  {
    title: "an exclusive holder that makes its lock a shared one lets others in, and keeps its token",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const writer = await driver.lock(lock);
      const reader = await queueUp(driver, lock, shared);
      const next = await queueUp(driver, lock);
      expect(await driver.downgrade(writer.key)).toBe("renewed");
      const second = await reader.granted;
      expect(second.floor).toBe(writer.token);
      expect(await driver.observe(lock)).toMatchObject({ holderToken: writer.token, holderCount: 2, waiters: 1 });
      // Again, it changes nothing.
      expect(await driver.downgrade(writer.key)).toBe("renewed");
      await unlockAll(driver, [writer, second]);
      await driver.unlock((await next.granted).key);
    },
  },
  {
    title: "a part of a semaphore cannot be made a shared lock",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const held = await driver.lock(lock, of(1, 2));
      expect(["invalid-mode", "invalid-argument"]).toContain((await failureOf(driver.downgrade(held.key))).reason);
      await unlockAll(driver, [held]);
    },
  },
  {
    title: "the floor is the token of the first holder: who shares passes, who came before does not",
    needs: ["sharing"],
    async run({ driver, name }) {
      const lock = name();
      const before = await driver.lock(lock);
      expect(before.floor).toBe(before.token);
      await driver.unlock(before.key);
      const [one, two] = [await driver.lock(lock, shared), await driver.lock(lock, shared)];
      expect([one.floor, two.floor]).toEqual([one.token, one.token]);
      expect(before.token).toBeLessThan(one.token);
      expect(two.token).toBeGreaterThan(one.token);
      await driver.unlock(one.key);
      const three = await driver.lock(lock, shared);
      expect(three.floor).toBe(two.token);
      await unlockAll(driver, [two, three]);
    },
  },
  {
    title: "permits that cannot be had are refused with what can",
    needs: ["sharing"],
    async run({ driver, name }) {
      for (const ask of [of(3, 2), of(1, 0)]) {
        const { reason } = await failureOf(driver.lock(name(), ask));
        expect(["invalid-permits", "invalid-argument"]).toContain(reason);
      }
    },
  },
  {
    title: "shared holders outlive the node, and count still",
    needs: ["sharing", "durable"],
    alone: true,
    async run({ driver, name }) {
      const lock = name();
      const readers = [
        await driver.lock(lock, { ...shared, ttlMs: 60_000 }),
        await driver.lock(lock, { ...shared, ttlMs: 60_000 }),
      ];
      await driver.restart();
      expect(await takes(driver, lock, {})).toBeUndefined();
      const third = await driver.lock(lock, shared);
      expect(await driver.observe(lock)).toMatchObject({ holderCount: 3 });
      await unlockAll(driver, [...readers, third]);
    },
  },
];

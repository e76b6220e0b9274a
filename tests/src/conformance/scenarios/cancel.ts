import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { queueUp, waitersAre } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Requesters that do not want the lock any more. */
export const cancelScenarios: readonly Scenario[] = [
  {
    title: "a cancelled wait leaves nothing behind",
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      const abort = new AbortController();
      const waiter = await queueUp(driver, lock, { signal: abort.signal });
      abort.abort();
      expect((await failureOf(waiter.granted)).reason).toBe("aborted");
      await waitersAre(driver, lock, 0);
      if (driver.etcd !== undefined) {
        expect(await driver.tickets(lock)).toHaveLength(1);
      }
      await driver.unlock(key);
    },
  },
  {
    title: "a wait that is cancelled as soon as it was asked for leaves nothing behind",
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      const failures = Array.from({ length: 20 }, () => {
        const abort = new AbortController();
        const failure = failureOf(driver.lock(lock, { signal: abort.signal }));
        abort.abort();
        return failure;
      });
      for (const failure of await Promise.all(failures)) {
        expect(failure.reason).toBe("aborted");
      }
      await driver.unlock(key);
      const next = await driver.lock(lock);
      await waitersAre(driver, lock, 0);
      await driver.unlock(next.key);
    },
  },
  {
    title: "a cancelled wait does not disturb the order of the others",
    async run({ driver, name }) {
      const lock = name();
      const { key } = await driver.lock(lock);
      const abort = new AbortController();
      const served: string[] = [];
      const first = await queueUp(driver, lock);
      const cancelled = await queueUp(driver, lock, { signal: abort.signal });
      const last = await queueUp(driver, lock);
      abort.abort();
      expect((await failureOf(cancelled.granted)).reason).toBe("aborted");
      await waitersAre(driver, lock, 2);
      await driver.unlock(key);
      const serve = async (who: string, granted: typeof first.granted): Promise<void> => {
        const grant = await granted;
        served.push(who);
        await driver.unlock(grant.key);
      };
      await Promise.all([serve("last", last.granted), serve("first", first.granted)]);
      expect(served).toEqual(["first", "last"]);
    },
  },
  {
    title: "a wait that is cancelled in the moment of its grant blocks the next for its TTL at most",
    async run({ driver, name, ttlMs }) {
      const lock = name();
      for (let round = 0; round < 5; round++) {
        const { key } = await driver.lock(lock);
        const abort = new AbortController();
        const cancelled = await queueUp(driver, lock, { signal: abort.signal, ttlMs: ttlMs(200) });
        const next = await queueUp(driver, lock);
        const unlocked = driver.unlock(key);
        abort.abort();
        await unlocked;
        await cancelled.granted.then(
          (grant) => driver.unlock(grant.key),
          () => undefined,
        );
        await driver.unlock((await next.granted).key);
      }
    },
  },
];

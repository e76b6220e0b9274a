import { expect } from "@jest/globals";
import { queueUp } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Who is next. */
export const queueScenarios: readonly Scenario[] = [
  {
    title: "waiters are served in the order in which they came",
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock);
      const served: number[] = [];
      const waiting: Promise<void>[] = [];
      for (let place = 0; place < 8; place++) {
        const { granted } = await queueUp(driver, lock);
        const turn = async (): Promise<void> => {
          const { key } = await granted;
          served.push(place);
          await driver.unlock(key);
        };
        waiting.push(turn());
      }
      await driver.unlock(holder.key);
      await Promise.all(waiting);
      expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    },
  },
  {
    title: "a release lets in one, and the others go on waiting",
    async run({ driver, name }) {
      const lock = name();
      const holder = await driver.lock(lock);
      const first = await queueUp(driver, lock);
      const second = await queueUp(driver, lock);
      await driver.unlock(holder.key);
      const { key } = await first.granted;
      expect(await driver.observe(lock)).toMatchObject({ waiters: 1 });
      await driver.unlock(key);
      await driver.unlock((await second.granted).key);
    },
  },
];

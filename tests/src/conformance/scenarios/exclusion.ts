import { setImmediate as turn } from "node:timers/promises";
import { expect } from "@jest/globals";
import type { Scenario } from "../scenario.js";

const workers = 100;
const locks = 10;
const rounds = 2;

/** No two hold one lock. */
export const exclusionScenarios: readonly Scenario[] = [
  {
    title: "100 workers on 10 locks are never two inside, and lose no update",
    async run({ driver, name, has }) {
      const places = Array.from({ length: locks }, () => ({ name: name(), inside: 0, counter: 0, lastToken: 0n }));
      const work = async (worker: number): Promise<void> => {
        const place = places[worker % locks];
        if (place === undefined) {
          throw new Error("every worker has a place");
        }
        for (let round = 0; round < rounds; round++) {
          const { key, token } = await driver.lock(place.name, { ttlMs: 60_000 });
          expect(++place.inside).toBe(1);
          if (has("tokens")) {
            expect(token).toBeGreaterThan(place.lastToken);
          }
          place.lastToken = token;
          const read = place.counter;
          for (let turns = worker % 5; turns >= 0; turns--) {
            await turn();
          }
          place.counter = read + 1;
          place.inside--;
          await driver.unlock(key);
        }
      };
      await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
      expect(places.map(({ counter }) => counter)).toEqual(places.map(() => (workers / locks) * rounds));
    },
  },
];

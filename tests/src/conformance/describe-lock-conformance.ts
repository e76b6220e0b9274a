import { afterAll, beforeAll, describe, test } from "@jest/globals";
import { LeftTickets } from "../left-tickets.js";
import { allScenarios } from "./all-scenarios.js";
import type { LockBackend } from "./lock-backend.js";
import type { LockDriver } from "./lock-driver.js";
import type { ScenarioContext } from "./scenario.js";

/**
 * Runs every scenario on a backend that the backend has the features for; its title names those that it does not have. A backend
 * is done when this passes.
 */
export function describeLockConformance(title: string, backend: LockBackend): void {
  const missing = Object.keys(backend.without ?? {});
  describe(missing.length === 0 ? title : `${title}, without ${missing.join(", ")}`, () => {
    let driver: LockDriver | undefined;
    const opened = (): LockDriver => {
      if (driver === undefined) {
        throw new Error("the backend was not opened");
      }
      return driver;
    };

    beforeAll(async () => {
      driver = await backend.open();
    });
    afterAll(async () => {
      await driver?.[Symbol.asyncDispose]();
    });
    const left = new LeftTickets(() => ticketsOf(opened()));

    for (const [subject, scenarios] of Object.entries(allScenarios)) {
      const possible = scenarios.filter(({ needs = [] }) => needs.every((feature) => !missing.includes(feature)));
      if (possible.length === 0) {
        continue;
      }
      describe(subject, () => {
        for (const scenario of possible) {
          // Most wait more than they compute, so those of a subject run at the same time, each with locks of its own.
          const run = scenario.alone === true ? test : test.concurrent;
          run(scenario.title, () => scenario.run(contextOf(opened(), backend)));
        }
        afterAll(() => left.gone());
      });
    }
  });
}

async function ticketsOf(driver: LockDriver): Promise<string[]> {
  const served = Array.from({ length: driver.served ?? 0 }, (_, index) => `ticket ${index + 1} that the node serves`);
  return [...(await driver.tickets()), ...served];
}

let names = 0;

function contextOf(driver: LockDriver, backend: LockBackend): ScenarioContext {
  const stepMs = backend.ttlStepMs ?? 1;
  return {
    driver,
    name: () => Buffer.from(`s${names++}`),
    ttlMs: (leastMs) => Math.ceil(leastMs / stepMs) * stepMs,
    has: (feature) => backend.without?.[feature] === undefined,
  };
}

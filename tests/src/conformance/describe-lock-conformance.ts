import { afterAll, afterEach, beforeAll, describe, test } from "@jest/globals";
import { LeftTickets } from "../left-tickets.js";
import { allScenarios } from "./all-scenarios.js";
import type { LockBackend } from "./lock-backend.js";
import type { LockDriver } from "./lock-driver.js";
import type { Scenario, ScenarioContext } from "./scenario.js";

/** Runs every scenario on a backend. A backend is done when this passes. */
export function describeLockConformance(title: string, backend: LockBackend): void {
  describe(title, () => {
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
    afterEach(() => left.gone());

    for (const [subject, scenarios] of Object.entries(allScenarios)) {
      describe(subject, () => {
        for (const scenario of scenarios) {
          define(scenario, backend, opened);
        }
      });
    }
  });
}

function define(scenario: Scenario, backend: LockBackend, driver: () => LockDriver): void {
  const missing = scenario.needs?.find((feature) => backend.without?.[feature] !== undefined);
  if (missing === undefined) {
    test(scenario.title, () => scenario.run(contextOf(driver(), backend)));
  } else {
    // A scenario that is left out is shown as skipped, with the backend's reason, so that nobody takes it for tested.
    const exemption = `exempt from "${missing}": ${backend.without?.[missing] ?? ""}`;
    test.skip(`${scenario.title} (${exemption})`, () => undefined);
  }
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

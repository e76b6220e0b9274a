import { expect } from "@jest/globals";
import type { LockDriver } from "../lock-driver.js";
import type { Scenario } from "../scenario.js";

/** Clusters that share one etcd. */
export const prefixScenarios: readonly Scenario[] = [
  {
    title: "clusters with other prefixes, also longer ones, are other worlds: one name is held in each",
    needs: ["etcd"],
    async run({ driver, name }) {
      const { etcd } = driver;
      if (etcd === undefined) {
        throw new Error('a backend without etcd needs the exemption "etcd"');
      }
      const prefixes = [`${etcd.prefix}2`, `${etcd.prefix}/inner`];
      const neighbours = await Promise.all(prefixes.map((prefix) => etcd.neighbour(prefix)));
      try {
        await hasOneWorldFor([driver, ...neighbours], name());
      } finally {
        await Promise.all(neighbours.map((neighbour) => neighbour[Symbol.asyncDispose]()));
      }
    },
  },
];

async function hasOneWorldFor(drivers: readonly LockDriver[], lock: Uint8Array): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  const grants = await Promise.all(drivers.map((driver) => driver.lock(lock, { signal })));
  // No key opens the others' locks.
  for (const [index, driver] of drivers.entries()) {
    for (const { key } of grants.filter((_, other) => other !== index)) {
      await driver.unlock(key);
    }
  }
  for (const [index, driver] of drivers.entries()) {
    expect(await driver.tickets(lock)).toHaveLength(1);
    await driver.unlock(grants[index]?.key ?? new Uint8Array());
    expect(await driver.tickets(lock)).toEqual([]);
  }
}

import { until } from "@metasrv/testing";
import type { DriverGrant, LockAsk, LockDriver } from "./lock-driver.js";

/** A request that waits. */
export interface Waiter {
  readonly granted: Promise<DriverGrant>;
}

/** Asks for a lock that is held, and resolves once the request has its place in the queue. */
export async function queueUp(driver: LockDriver, name: Uint8Array, ask: LockAsk = {}): Promise<Waiter> {
  const { waiters } = await driver.observe(name);
  const granted = driver.lock(name, ask);
  // Whoever is interested in the outcome awaits the promise. Until then, a failure must not count as unhandled.
  granted.catch(() => undefined);
  await waitersAre(driver, name, waiters + 1);
  return { granted };
}

/** Resolves once so many requests wait for the lock. */
export async function waitersAre(driver: LockDriver, name: Uint8Array, count: number): Promise<void> {
  await until(async () => (await driver.observe(name)).waiters === count, {
    what: `${count} waiters`,
  });
}

/** Resolves once nobody holds the lock. */
export async function becomesFree(driver: LockDriver, name: Uint8Array): Promise<void> {
  await until(async () => (await driver.observe(name)).holderToken === 0n, {
    what: "the lock to be free",
  });
}

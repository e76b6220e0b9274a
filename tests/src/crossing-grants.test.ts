import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, startMetasrv, until } from "@metasrv/testing";

const rounds = 1_000;

/** How a client gives up what it waits for. */
const ways = [
  async (waiter: MetaClient) => waiter.close(),
  async (_: MetaClient, end: AbortController) => {
    end.abort();
    return Promise.resolve();
  },
] as const;

test(`of ${rounds} grants that cross a close or an abort, none is left with nobody`, async () => {
  await using server = await startMetasrv();
  await using other = new MetaClient({ endpoints: [server.url], discover: false });
  let crossed = 0;
  for (let round = 0; round < rounds; round++) {
    const lock = await other.lock("x", { ttlMs: 60_000, keepAlive: false });
    const waiter = new MetaClient({ endpoints: [server.url], discover: false });
    const end = new AbortController();
    const waiting = waiter.lock("x", { ttlMs: 60_000, keepAlive: false, signal: end.signal });
    const outcome = waiting.then(
      () => "granted",
      () => "given up",
    );
    await until(async () => (await other.locks.get("x")).waiters === 1, { what: "the wait", intervalMs: 1 });
    // The release and the end are up to a millisecond apart, in either order.
    const giveUp = ways[round % ways.length] ?? ways[0];
    const both = [() => lock.release(), () => giveUp(waiter, end)];
    const [first, second] = round % 4 < 2 ? both : both.toReversed();
    const firstDone = first?.();
    const untilMs = performance.now() + Math.random();
    while (performance.now() < untilMs) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([firstDone, second?.()]);
    crossed += (await outcome) === "given up" ? 1 : 0;
    await waiter.close();
    // Without a release, it would be held for a minute.
    await (await other.lock("x", { waitMs: 2_000 })).release();
  }
  expect(crossed).toBeGreaterThan(rounds / 2);
}, 180_000);

afterAll(leakCheck());

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { Cluster, type Event, graceMs, leaseMs, ttlMs } from "../../test-support/cluster.js";

const nodes = 2;
const clients = 3;

const node = fc.nat(nodes - 1);
const client = fc.nat(clients - 1);

/** What happens most, first; a failing schedule shrinks towards it. */
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("answer" as const), node }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("commit" as const), node }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("deliver" as const), node, count: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(100, graceMs, ttlMs - 50, leaseMs),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      client,
      node,
      waitMs: fc.constantFrom(undefined, undefined, 0, 300),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("unlock" as const, "renew" as const), client, node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("cancel" as const, "detach" as const), client, node }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("fail" as const, "fail and commit later" as const), node }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("extend" as const, "extend" as const, "relist" as const), node }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("lose" as const, "rejoin" as const, "rejoin" as const), node }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("late commit" as const, "lapse" as const) }) },
);

async function run(events: readonly Event[]): Promise<void> {
  const cluster = await new Cluster(nodes, clients).start();
  for (const one of events) {
    await cluster.step(one);
  }
  await cluster.calmDown();
  expect({
    unanswered: cluster.unanswered,
    tickets: cluster.model.tickets,
    served: cluster.nodes.map(({ store }) => store.size),
    timers: cluster.clock.timers,
  }).toEqual({ unanswered: 0, tickets: [], served: cluster.nodes.map(() => 0), timers: 0 });
}

describe("nodes, clients and a store under generated schedules", () => {
  test("never let two clients believe that they hold, answer every request, and leave nothing behind", async () => {
    await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 60, size: "max" }), run), {
      numRuns: Number(process.env.FAST_CHECK_RUNS ?? 500),
      seed: Number(process.env.FAST_CHECK_SEED ?? 20),
    });
  }, 600_000);
});

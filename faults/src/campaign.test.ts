import { afterAll, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { runCampaign } from "./campaign.js";
import { faultOf } from "./inject/catalogue.js";
import { proxyNetwork } from "./network/proxy-network.js";

test("a short campaign of real processes breaks no promise", async () => {
  // The locks that a killed client held end with their TTL. Its fault comes first, so that nobody waits for that at the
  // end.
  const kinds = ["client-kill", "metasrv-kill", "etcd-compaction", "etcd-leader-kill", "rolling-restart"];
  const summary = await runCampaign({
    network: proxyNetwork,
    sizes: { storeMembers: 3, nodes: 3, clients: 2, workersPerClient: 15 },
    plan: { first: kinds.map(faultOf), mixed: [], forMs: 0, quietMs: 1_000, recoveryMs: 500 },
    seed: 1,
    keep: false,
    signal: new AbortController().signal,
    say: () => undefined,
  });
  expect(summary.violations).toEqual([]);
  expect(summary.effects.map(({ kind }) => kind)).toEqual(["quiet", ...kinds]);
  expect(summary.acquisitions).toBeGreaterThan(100);
  expect(summary.ofSeveral).toBeGreaterThan(10);
  expect(summary.forced).toBeGreaterThan(0);
  expect(summary.writes.taken).toBeGreaterThan(100);
});

afterAll(leakCheck());

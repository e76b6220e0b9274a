import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import type { TicketContent } from "../model/ticket-content.js";
import { exclusive, shared } from "../model/ticket-content.js";
import { lockNameOf } from "../model/ticket-ref.js";
import type { MetricSources } from "./definitions.js";
import { Exposition } from "./exposition.js";
import { mostFamilies } from "./families.js";
import { Metrics } from "./metrics.js";

const content: TicketContent = { ttlMs: 10_000, owner: "", resumable: true, ...exclusive };
const open = "application/openmetrics-text; version=1.0.0";

async function withPage<T>(
  metrics: Metrics,
  given: Partial<MetricSources>,
  use: (exposition: Exposition) => Promise<T>,
): Promise<T> {
  const exposition = new Exposition(systemClock, {
    metrics,
    tally: () => ({ locks: 0, waiting: 0, oldestWaitMs: 0 }),
    membershipLeftMs: () => Infinity,
    leads: () => false,
    logFigures: () => ({}),
    sessions: () => 0,
    version: "1.2.3",
    ...given,
  });
  try {
    return await use(exposition);
  } finally {
    exposition.close();
  }
}

/** The values of a page, by what stands before them. */
async function valuesOf(metrics: Metrics, given: Partial<MetricSources> = {}): Promise<ReadonlyMap<string, string>> {
  const { text } = await withPage(metrics, given, (exposition) => exposition.page());
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]));
}

describe("the page of metrics", () => {
  test("has what was counted", async () => {
    const metrics = new Metrics();
    const orders = metrics.groupOf(lockNameOf(Buffer.from("orders/1")));
    orders.granted(content, 4);
    orders.granted(content, 64);
    orders.granted({ ...content, ...shared }, 400_000);
    orders.holdEnded({ ...content, permits: 1, limit: 3 }, "expired", 10_000);
    orders.ended("timed_out");
    orders.limitMismatch();
    metrics.rejected();
    metrics.deadlock();
    metrics.denied("no-right");
    metrics.entryWritten(4, 17);

    const page = await valuesOf(metrics, {
      tally: (family) => (family === orders ? { locks: 5, waiting: 7, oldestWaitMs: 1_500 } : nothing),
      logFigures: () => ({ behindMs: 250 }),
      certificateExpiresAtMs: () => 2_000,
      leads: () => true,
    });
    const wait = 'metasrv_lock_wait_seconds_bucket{family="orders",kind="exclusive",le=';
    expect([...page]).toEqual(
      expect.arrayContaining([
        ['metasrv_requests_total{family="orders",outcome="granted"}', "3"],
        ['metasrv_requests_total{family="orders",outcome="timed_out"}', "1"],
        ['metasrv_requests_total{family="other",outcome="failed"}', "1"],
        ['metasrv_holds_ended_total{family="orders",how="expired"}', "1"],
        ['metasrv_locks_held{family="orders",scope="cluster"}', "5"],
        ['metasrv_tickets_waiting{family="orders",scope="cluster"}', "7"],
        ['metasrv_oldest_wait_seconds{family="orders",scope="cluster"}', "1.5"],
        ["metasrv_deadlocks_total", "1"],
        ["metasrv_limit_mismatches_total", "1"],
        ['metasrv_denied_total{reason="no-right"}', "1"],
        ["metasrv_etcd_watch_lag_seconds", "0.25"],
        ["metasrv_tls_cert_expiry_timestamp_seconds", "2"],
        ["metasrv_membership_seconds_left", "+Inf"],
        ["metasrv_leader", "1"],
        [`${wait}"0.0025"}`, "0"],
        [`${wait}"0.005"}`, "1"],
        [`${wait}"0.1"}`, "2"],
        [`${wait}"+Inf"}`, "2"],
        ['metasrv_lock_wait_seconds_sum{family="orders",kind="exclusive"}', "0.068"],
        ['metasrv_lock_wait_seconds_bucket{family="orders",kind="shared",le="300"}', "0"],
        ['metasrv_lock_wait_seconds_count{family="orders",kind="shared"}', "1"],
        ['metasrv_lock_hold_seconds_count{family="orders",kind="semaphore"}', "1"],
        ['metasrv_etcd_txn_ops_bucket{le="16"}', "0"],
        ['metasrv_etcd_txn_ops_bucket{le="32"}', "1"],
        ["metasrv_etcd_txn_ops_sum", "17"],
      ]),
    );
  });

  test("leaves out what is not known", async () => {
    const page = await valuesOf(new Metrics());
    expect([...page.keys()].filter((key) => /tls|watch_lag|bytes/.test(key))).toEqual([]);
  });

  test("keeps labels harmless", async () => {
    const metrics = new Metrics(['a"b\\c*']);
    const page = await withPage(metrics, {}, (exposition) => exposition.page());
    expect(page.text).toContain(String.raw`metasrv_locks_held{family="a\"b\\c*",scope="cluster"} 0`);
  });

  test("comes as OpenMetrics to whoever takes it", async () => {
    const metrics = new Metrics();
    metrics.families.other.granted(content, 1_000);
    const { contentType, text } = await withPage(metrics, {}, (exposition) =>
      exposition.page(`${open},text/plain;q=0.5`),
    );
    expect(contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(text).toContain("# TYPE metasrv_requests counter\n");
    expect(text).toContain('metasrv_requests_total{family="other",outcome="granted"} 1\n');
    expect(text).toContain('metasrv_lock_wait_seconds_bucket{family="other",kind="exclusive",le="1.0"} 1\n');
    expect(text.endsWith("# EOF\n")).toBe(true);
  });

  test("lets other work in while it is made, as long as it can be", async () => {
    const metrics = new Metrics();
    const kinds = [content, { ...content, ...shared }, { ...content, permits: 1, limit: 3 }];
    for (let n = 0; n < mostFamilies; n++) {
      const family = metrics.groupOf(lockNameOf(Buffer.from(`family-${n}/1`)));
      for (const kind of kinds) {
        family.granted(kind, n);
        family.holdEnded(kind, "released", n);
      }
    }
    await withPage(metrics, {}, async (exposition) => {
      let turns = 0;
      const made = new AbortController();
      const counted = (async () => {
        while (!made.signal.aborted) {
          turns++;
          await sleep(0);
        }
      })();
      const cpu = process.cpuUsage();
      const { text } = await exposition.page();
      made.abort();
      await counted;
      const tookMs = process.cpuUsage(cpu).user / 1000;
      const lines = text.split("\n").length;
      console.info(
        `the longest page: ${lines} lines, ${text.length} bytes, ${tookMs.toFixed(1)} ms of CPU, ${turns} turns`,
      );
      expect(lines).toBeGreaterThan(12_000);
      expect(turns).toBeGreaterThan(1);
    });
  });
});

const nothing = { locks: 0, waiting: 0, oldestWaitMs: 0 };

import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { findOrInstall, leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { installMs, Prometheus, rulesFolder } from "./prometheus.js";

afterAll(leakCheck());

async function pageOf(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/metrics`, { headers: { connection: "close", ...headers } });
}

/** What the dashboard asks for, of all clusters and families. */
async function dashboardQueries(): Promise<string[]> {
  const file = join(rulesFolder, "../grafana/metasrv.json");
  const { panels } = JSON.parse(await readFile(file, "utf8")) as { panels: { targets: { expr: string }[] }[] };
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  return queries.map((expr) => expr.replaceAll(/\$(?:job|family)/gu, ".*").replaceAll("$__rate_interval", "10s"));
}

describe("/metrics", () => {
  test("shows what a client did, in a page that promtool has nothing against", async () => {
    const promtool = await findOrInstall("promtool");
    await using server = await startMetasrv();
    await using meta = new MetaClient({ endpoints: [server.url] });
    await meta.withLock("orders/42", () => Promise.resolve());
    await using held = await meta.lock("orders/43");
    expect(await meta.tryLock("orders/43")).toBeNull();
    expect(held.name).toBe("orders/43");

    const response = await pageOf(server.url);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    expect(text).toContain('metasrv_requests_total{family="orders",outcome="granted"} 2\n');
    expect(text).toContain('metasrv_requests_total{family="orders",outcome="refused"} 1\n');
    expect(text).toContain('metasrv_holds_ended_total{family="orders",how="released"} 1\n');
    expect(text).toContain('metasrv_locks_held{family="orders",scope="cluster"} 1\n');
    expect(text).toContain("metasrv_sessions 1\n");
    const check = execFile(promtool, ["check", "metrics"]);
    check.stdin?.end(text);
    expect(await once(check, "exit")).toEqual([0, null]);

    const open = await pageOf(server.url, { accept: "application/openmetrics-text" });
    expect(open.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(await open.text()).toMatch(/# EOF\n$/);
    const wrong = await fetch(`${server.url}/metrics`, { method: "POST", headers: { connection: "close" } });
    expect([wrong.status, await wrong.text()]).toEqual([405, "Send a GET or a HEAD.\n"]);
  }, 200_000);

  test("is not there when metrics are off", async () => {
    await using server = await startMetasrv({ args: ["--metrics", "off"] });
    const response = await pageOf(server.url);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain("/metrics\n");
  });

  test(
    "of three servers is read by a Prometheus with the alerts of ops/",
    async () => {
      await using etcd = await startEtcd();
      await using one = await startMetasrv({ store: etcd.endpoint });
      await using two = await startMetasrv({ store: etcd.endpoint });
      await using three = await startMetasrv({ store: etcd.endpoint });
      const started = [one, two, three];
      await using meta = new MetaClient({ endpoints: started.map(({ url }) => url) });
      await using held = await meta.lock("orders/42");
      await using prometheus = await Prometheus.start({
        targets: started.map(({ address }) => address),
        rules: join(rulesFolder, "alerts.yaml"),
      });
      const locksHeld = 'max(metasrv_locks_held{family="orders"})';
      await until(async () => (await prometheus.query('count(up{job="metasrv"} == 1)')) === "3", {
        what: "Prometheus to have read all servers",
        timeoutMs: 30_000,
      });
      await until(async () => (await prometheus.query(locksHeld)) === "1", {
        what: "Prometheus to see the lock",
        timeoutMs: 30_000,
      });
      expect(held.name).toBe("orders/42");
      expect(await prometheus.query("sum(metasrv_leader)")).toBe("1");
      expect(await prometheus.query('sum(metasrv_requests_total{family="orders",outcome="granted"})')).toBe("1");
      expect(await prometheus.query('count(ALERTS{alertstate="firing"})')).toBeUndefined();
      expect(prometheus.tail).toContain("Server is ready");
      // No certificate is there, and nothing was denied. Of etcd's database the leader tells once a minute only.
      const mayBeEmpty = /tls_cert_expiry|denied_total|etcd_database_bytes/u;
      for (const promql of await dashboardQueries()) {
        // A rate needs a second sample. What Prometheus does not understand is an error.
        const isThere = async () => (await prometheus.query(promql)) !== undefined || mayBeEmpty.test(promql);
        await until(isThere, { what: promql, timeoutMs: 30_000 });
      }
    },
    installMs + 90_000,
  );
});

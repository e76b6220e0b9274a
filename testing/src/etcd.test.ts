import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import type { Etcd } from "./etcd.js";
import { startEtcd, startEtcdCluster } from "./etcd.js";
import { leakCheck } from "./leak-check.js";
import { until } from "./until.js";

async function call(etcd: Etcd, method: string, request: object): Promise<Record<string, unknown>> {
  const response = await fetch(`http://${etcd.endpoint}/v3/${method}`, {
    method: "POST",
    headers: { connection: "close" },
    body: JSON.stringify(request),
  });
  if (!response.ok) {
    throw new Error(await response.text());
  }
  return (await response.json()) as Record<string, unknown>;
}

const KEY = Buffer.from("key").toString("base64");

describe("startEtcd", () => {
  test("keeps ports and data over a kill and a restart", async () => {
    await using etcd = await startEtcd();
    const { endpoint, pid } = etcd;
    await call(etcd, "kv/put", { key: KEY, value: KEY });
    await etcd.kill();
    await expect(call(etcd, "kv/range", { key: KEY })).rejects.toThrow();
    await etcd.restart();
    expect(etcd.endpoint).toBe(endpoint);
    expect(etcd.pid).not.toBe(pid);
    expect(await call(etcd, "kv/range", { key: KEY })).toMatchObject({ count: "1" });
  });

  test("stops in order", async () => {
    await using etcd = await startEtcd();
    expect(await etcd.stop()).toMatchObject({ signal: "SIGTERM" });
    await etcd.restart();
  });

  test("says what etcd said when it does not start", async () => {
    await expect(startEtcd({ extraArgs: ["--no-such-flag"] })).rejects.toThrow(/code 2; .*no-such-flag/su);
  });

  test("three members are one cluster, which outlives one of them", async () => {
    await using cluster = await startEtcdCluster(3);
    const [first, second, third] = cluster.members;
    if (first === undefined || second === undefined || third === undefined) {
      throw new Error("three were asked for");
    }
    expect(cluster.endpoints).toEqual([first.endpoint, second.endpoint, third.endpoint]);
    await until(async () => (await cluster.leader()) !== undefined, { what: "a leader" });
    await first.kill();
    const put = async (): Promise<boolean> =>
      await call(second, "kv/put", { key: KEY, value: KEY }).then(Boolean, () => false);
    await until(put, { what: "the two to have a leader" });
    expect([second, third]).toContain(await cluster.leader());
    await first.restart();
    expect(await call(first, "kv/range", { key: KEY })).toMatchObject({ count: "1" });
  });

  test("removes its data at the end, but not a folder it was given", async () => {
    const given = await mkdtemp(join(tmpdir(), "metasrv-given-"));
    let own: string;
    {
      await using etcd = await startEtcd();
      own = etcd.dataDir;
      await using other = await startEtcd({ dataDir: given });
      expect(other.dataDir).toBe(given);
    }
    await expect(access(own)).rejects.toThrow("ENOENT");
    await access(given);
    await rm(given, { recursive: true });
  });
});

afterAll(leakCheck());

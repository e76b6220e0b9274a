import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ConfigInput } from "./config.js";
import { configJsonSchema, readConfigFile, showSettings } from "./config-file.js";
import { defaultLimits } from "./model/limits.js";
import { readStartSettings } from "./start-settings.js";

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-config-"));
  path = join(folder, "metasrv.yaml");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What is wrong with a file, a line each, without its path. */
async function problemsOf(text: string): Promise<string[]> {
  await writeFile(path, text);
  const error = await readStartSettings(path, {}).then(
    () => new Error("the file is right"),
    (thrown: unknown) => thrown as Error,
  );
  return error.message.split("\n").map((line) => line.replace(`${path}:`, ""));
}

const everything = `
bindAddr: 0.0.0.0:3002
insecureListen: true
serverAddr: node-1:3002
memberTtl: 15s
drain: 500ms
store:
  backend: etcd
  addrs: [etcd-1:2379, etcd-2:2379]
  keyPrefix: prod
  connectTimeout: 1m
  requestTimeout: 5s
  quotaBytes: 8589934592
  tls: { ca: ca.pem, cert: own.pem, key: own.key }
  username: locks
  passwordFile: password
limits:
  maxNameBytes: 100
  maxOwnerBytes: 50
  defaultTtl: 20s
  minTtl: 1s
  maxTtl: 1h
  maxWaitersPerLock: 3
  maxTickets: 4
  maxMessageBytes: 5000
  maxSessionCommands: 6
  maxAttached: 7
  heartbeat: 1s
  sessionTimeout: 4s
  waiterGrace: 2s
console: off
cors:
  origins: ["https://app.example.com"]
log:
  level: warn
`;

const input = {
  bindAddr: "0.0.0.0:3002",
  insecureListen: true,
  tls: undefined,
  serverAddr: "node-1:3002",
  backend: "etcd",
  storeAddrs: ["etcd-1:2379", "etcd-2:2379"],
  store: {
    tls: { ca: "ca.pem", cert: "own.pem", key: "own.key" },
    username: "locks",
    passwordFile: "password",
  },
  storeKeyPrefix: "prod",
  storeConnectTimeoutMs: 60_000,
  storeRequestTimeoutMs: 5_000,
  storeQuotaBytes: 8_589_934_592,
  memberTtlSeconds: 15,
  drainMs: 500,
  console: "off",
  cors: { origins: ["https://app.example.com"] },
  limits: {
    maxNameBytes: 100,
    maxOwnerBytes: 50,
    defaultTtlMs: 20_000,
    minTtlMs: 1_000,
    maxTtlMs: 3_600_000,
    maxWaitersPerLock: 3,
    maxTickets: 4,
    maxMessageBytes: 5_000,
    maxSessionCommands: 6,
    maxAttached: 7,
    heartbeatMs: 1_000,
    sessionTimeoutMs: 4_000,
    waiterGraceMs: 2_000,
  },
};

describe("a config file", () => {
  test("sets every setting", async () => {
    await writeFile(path, everything);
    const file = await readConfigFile(path);
    expect(file.input).toEqual(input);
    expect(Object.keys(file.input.limits ?? {}).sort()).toEqual(Object.keys(defaultLimits).sort());
    expect(showSettings(file.content)).toContain('store.addrs: ["etcd-1:2379","etcd-2:2379"]');
    expect(showSettings(file.content)).toHaveLength(32);
  });

  test("can be JSON", async () => {
    await writeFile(path, JSON.stringify({ drain: "1h", store: { addrs: ["etcd:2379"] } }, undefined, "\t"));
    expect((await readConfigFile(path)).input).toMatchObject({ drainMs: 3_600_000, storeAddrs: ["etcd:2379"] });
  });

  test("can be empty", async () => {
    await writeFile(path, "# nothing yet\n");
    expect((await readConfigFile(path)).content).toEqual({});
  });

  const wrong: [string, string[]][] = [
    ["bindAdr: x", ['1:1: bindAdr: unknown key "bindAdr"; the nearest known key is "bindAddr"']],
    [
      "store:\n  addrs: [a:1, 5]\n  keyprefix: x\ndrain: 10\nlimits:\n  maxTickets: -1\n  maxTtl: 5 m\n",
      [
        "2:16: store.addrs[1]: expected a text; found 5",
        '3:3: store.keyprefix: unknown key "keyprefix"; the nearest known key is "keyPrefix"',
        "4:1: drain: expected a whole number with its unit, such as 500ms, 30s, 5m or 1h; found 10",
        "6:3: limits.maxTickets: expected a number of at least 0; found -1",
        '7:3: limits.maxTtl: expected a whole number with its unit, such as 500ms, 30s, 5m or 1h; found "5 m"',
      ],
    ],
    ["store:\n  backend: redis", ['2:3: store.backend: expected one of memory, etcd; found "redis"']],
    ["store: etcd", ['1:1: store: expected keys with values; found "etcd"']],
    ["- bindAddr", ["1:1: expected keys with values; found a list"]],
    ["password: hunter2", ['1:1: password: unknown key "password"; the nearest known key is "store"']],
    ["bindAddr: a:1\nbindAddr: b:2", ["2:1: Map keys must be unique"]],
    ["bindAddr: {", ["1:12: Flow map in block collection must be sufficiently indented and end with a }"]],
    ["bindAddr: !secret x", ["1:11: Unresolved tag: !secret"]],
    ["bindAddr: *nowhere", ["1:1: Unresolved alias (the anchor must be set before the alias): nowhere"]],
    ["bindAddr: ''", ['1:1: bindAddr: expected host:port, such as 0.0.0.0:3002; got ""']],
    [
      "limits:\n  minTtl: 2s\n  maxTtl: 1s",
      ["3:3: limits.maxTtl: expected a whole number from 2000 to 2147483646 ms; got 1000 ms"],
    ],
    [
      "store:\n  keyPrefix: x",
      ["2:3: store.keyPrefix: means nothing to the backend memory; drop this, or give the addresses of etcd"],
    ],
    [
      "limits:\n  maxTickets: 0\n  minTtl: 0s\nmemberTtl: 5s\nserverAddr: node-1",
      [
        "2:3: limits.maxTickets: expected a whole number from 1 to 9007199254740991; got 0",
        "3:3: limits.minTtl: expected a whole number from 1 to 2147483646 ms; got 0 ms",
        "4:1: memberTtl: means nothing to the backend memory; drop this, or give the addresses of etcd",
        '5:1: serverAddr: expected host:port, such as metasrv-1.example:3002; got "node-1"',
      ],
    ],
  ];
  test.each(wrong)("%j is refused, with its place", async (text, problems) => {
    expect(await problemsOf(text)).toEqual(problems);
  });

  test("must be there", async () => {
    await expect(readConfigFile(join(folder, "none"))).rejects.toThrow(/none: cannot be read: .*ENOENT/);
  });

  test("gives way to the command line, setting by setting", async () => {
    await writeFile(path, everything);
    const given = { drainMs: 7, bindAddr: undefined, limits: { maxTickets: 9, minTtlMs: undefined } };
    const settings = await readStartSettings(path, given);
    expect(settings.input).toEqual({ ...input, drainMs: 7, limits: { ...input.limits, maxTickets: 9 } });
  });

  test("gives way to the command line in what etcd is told, too", async () => {
    await writeFile(path, everything);
    const { input: merged } = await readStartSettings(path, {
      store: { tls: { ca: "other.pem" }, username: undefined },
    });
    expect(merged.store).toEqual({ ...input.store, tls: { ...input.store.tls, ca: "other.pem" } });
  });

  test("gives way to the command line within a section, whichever it is", async () => {
    await writeFile(path, "tls: { cert: own.pem, key: own.key, clientCa: ca.pem }\nmetrics: { families: [orders] }\n");
    const given = {
      tls: { key: "other.key", minVersion: "TLSv1.3", clientAuth: undefined },
      metrics: { enabled: false },
    };
    const { input: merged } = await readStartSettings(path, given as ConfigInput);
    expect(merged.tls).toEqual({ cert: "own.pem", key: "other.key", clientCa: "ca.pem", minVersion: "TLSv1.3" });
    expect(merged.metrics).toEqual({ families: ["orders"], enabled: false });
  });

  test("and the command line that are wrong are both told of", async () => {
    await writeFile(path, "drain: 1000h\nlimits: { maxTickets: 0 }\n");
    const given = { serverAddr: "node-1", limits: { maxTickets: -1 } };
    await expect(readStartSettings(path, given)).rejects.toThrow(
      new RegExp(`^${path}:1:1: drain: .*\nserverAddr: .*\nmaxTickets: .* got -1$`),
    );
  });

  test("says where it gives a certificate without a key", async () => {
    const problem = "3:10: store.tls.cert: means nothing without store.tls.key; give both, or drop this";
    expect(await problemsOf("store:\n  addrs: [etcd:2379]\n  tls: { cert: own.pem }")).toEqual([problem]);
  });

  test("is not blamed for the command line", async () => {
    await writeFile(path, everything);
    await expect(readStartSettings(path, { drainMs: -1 })).rejects.toThrow(/^drainMs: expected/);
  });

  test("of the guide is right", async () => {
    const guide = await readFile(new URL("../../../docs/server.md", import.meta.url), "utf8");
    const [, example = ""] = /```yaml\n(bindAddr[^`]*)```/.exec(guide) ?? [];
    await writeFile(path, example);
    const { file } = await readStartSettings(path, {});
    expect(file).toMatchObject({ store: { backend: "etcd" }, log: { level: "info" } });
  });

  test("is described by the JSON Schema that is published", async () => {
    const published = await readFile(new URL("../config.schema.json", import.meta.url), "utf8");
    expect(published).toBe(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
  });
});

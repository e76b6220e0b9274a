import { describe, expect, test } from "@jest/globals";
import { advertisesWildcard, completeConfig, ConfigError, type ConfigInput, type Setting } from "./config.js";
import { defaultLimits } from "./model/limits.js";
import type { TlsInput } from "./tls/tls-settings.js";

const files = { cert: "cert.pem", key: "key.pem" };

describe("completeConfig", () => {
  test("needs nothing", () => {
    expect(completeConfig()).toEqual({
      bind: { host: "127.0.0.1", port: 3002 },
      serverAddr: undefined,
      store: { backend: "memory" },
      metrics: { enabled: true, families: [] },
      drainMs: 2_000,
      tls: undefined,
      security: undefined,
      insecureListen: false,
      console: true,
      cors: { origins: [] },
      limits: defaultLimits,
    });
  });

  test("store addresses mean etcd", () => {
    const storeAddrs = ["127.0.0.1:2379", "http://etcd-1:2379", "https://[::1]:2379"];
    expect(completeConfig({ storeAddrs }).store).toEqual({
      backend: "etcd",
      hosts: ["http://127.0.0.1:2379", "http://etcd-1:2379", "https://[::1]:2379"],
      access: {},
      prefix: "metasrv",
      connectTimeoutMs: 30_000,
      requestTimeoutMs: 10_000,
      memberTtlSeconds: 10,
      quotaBytes: 2_147_483_648,
    });
  });

  test("store addresses without a scheme are https where there are options of TLS", () => {
    const access = { tls: { ca: "ca.pem" }, username: "locks", passwordFile: "password" };
    const { store } = completeConfig({ storeAddrs: ["etcd:2379", "https://etcd-2:2379"], store: access });
    expect(store).toMatchObject({ hosts: ["https://etcd:2379", "https://etcd-2:2379"], access });
  });

  test.each(["metasrv", "/prod/metasrv", "a.b-c_d", "locksmith"])("takes the key prefix %s", (storeKeyPrefix) => {
    const { store } = completeConfig({ storeAddrs: ["etcd:2379"], storeKeyPrefix });
    expect(store).toMatchObject({ prefix: storeKeyPrefix });
  });

  test("a limit that is not given keeps its default", () => {
    const { limits } = completeConfig({ limits: { maxTickets: 5, minTtlMs: undefined } });
    expect(limits).toEqual({ ...defaultLimits, maxTickets: 5 });
  });

  test("clients need certificates where it is said who signs them, and their connections then last an hour", () => {
    expect(completeConfig({ tls: files }).tls).toMatchObject({ clientAuth: "none", maxSessionAgeMs: 0 });
    expect(completeConfig({ tls: { ...files, clientCa: "ca.pem" } }).tls).toMatchObject({
      clientAuth: "require",
      plaintext: "refuse",
      maxSessionAgeMs: 3_600_000,
    });
  });

  test.each([
    { bindAddr: "localhost:3002" },
    { bindAddr: "127.0.0.2:3002" },
    { bindAddr: "[::1]:3002" },
    { bindAddr: "0.0.0.0:3002", insecureListen: true },
    { bindAddr: "0.0.0.0:3002", tls: { ...files, clientCa: "ca.pem" } },
  ])("takes an address that strangers cannot use, or that may be used: %j", (input) => {
    expect(completeConfig(input).bind.port).toBe(3002);
  });

  const etcd = { storeAddrs: ["etcd:2379"] };
  const invalid: [Setting, ConfigInput, RegExp][] = [
    ["bindAddr", { bindAddr: "3002" }, /expected host:port.*got "3002"/],
    ["bindAddr", { bindAddr: ":3002" }, /got ":3002"/],
    ["bindAddr", { bindAddr: "127.0.0.1:65536" }, /got "127.0.0.1:65536"/],
    ["bindAddr", { bindAddr: "::1:3002" }, /got "::1:3002"/],
    ["tls.cert", { tls: { key: "key.pem" } as TlsInput }, /expected the path of a PEM file/],
    ["tls.key", { tls: { cert: "cert.pem", key: "" } }, /expected the path of a PEM file/],
    ["tls.clientAuth", { tls: { ...files, clientAuth: "request" } }, /request needs to know.*give the clientCa/],
    ["tls.clientCa", { tls: { ...files, clientCa: "ca.pem", clientAuth: "none" } }, /means nothing while/],
    ["tls.maxSessionAge", { tls: { ...files, maxSessionAge: "-1" } }, /duration|number with its unit/],
    ["bindAddr", { bindAddr: "0.0.0.0:3002" }, /other machines reach 0\.0\.0\.0:3002.*--insecure-listen/],
    ["bindAddr", { bindAddr: "[::]:3002", insecureListen: false }, /--insecure-listen/],
    ["bindAddr", { bindAddr: "metasrv-1:3002", tls: files }, /--insecure-listen/],
    [
      "bindAddr",
      { bindAddr: "[::]:3002", tls: { ...files, clientCa: "ca", clientAuth: "request" } },
      /--insecure-listen/,
    ],
    ["serverAddr", { serverAddr: "node-1:0" }, /expected host:port.*got "node-1:0"/],
    ["serverAddr", { serverAddr: "http://node-1:3002" }, /expected host:port/],
    ["storeAddrs", { storeAddrs: ["etcd:2379", "etcd"] }, /expected host:port, http.*got "etcd"/],
    ["storeAddrs", { storeAddrs: ["ftp://etcd:2379"] }, /got "ftp:/],
    ["storeAddrs", { storeAddrs: ["http://etcd:2379/path"] }, /got "http/],
    ["storeAddrs", { storeAddrs: [""] }, /got ""/],
    ["storeAddrs", { backend: "etcd" }, /needs at least one address/],
    ["storeAddrs", { storeAddrs: [] }, /needs at least one address/],
    ["storeAddrs", { backend: "memory", ...etcd }, /the backend is memory/],
    ["storeKeyPrefix", { storeKeyPrefix: "x" }, /means nothing to the backend memory/],
    ["memberTtlSeconds", { memberTtlSeconds: 5 }, /means nothing to the backend memory/],
    ["store", { store: { username: "locks", passwordFile: "p" } }, /means nothing to the backend memory/],
    ["store.tls.cert", { ...etcd, store: { tls: { cert: "c" } } }, /without store.tls.key/],
    ["store.tls.key", { ...etcd, store: { tls: { key: "k" } } }, /without store.tls.cert/],
    ["store.tls.ca", { ...etcd, store: { tls: { ca: "" } } }, /expected the path of a file/],
    ["store.username", { ...etcd, store: { username: "locks" } }, /without store.passwordFile/],
    ["store.passwordFile", { ...etcd, store: { passwordFile: "p" } }, /without store.username/],
    [
      "storeAddrs",
      { storeAddrs: ["http://etcd:2379"], store: { tls: { ca: "ca.pem" } } },
      /asked without TLS: write https/,
    ],
    ["storeKeyPrefix", { ...etcd, storeKeyPrefix: "" }, /got ""/],
    ["storeKeyPrefix", { ...etcd, storeKeyPrefix: "a/" }, /got "a\/"/],
    ["storeKeyPrefix", { ...etcd, storeKeyPrefix: "a//b" }, /got "a\/\/b"/],
    ["storeKeyPrefix", { ...etcd, storeKeyPrefix: "metasrv/locks" }, /no part being "locks"/],
    ["storeQuotaBytes", { ...etcd, storeQuotaBytes: 0 }, /from 1 to .*; got 0/],
    ["memberTtlSeconds", { ...etcd, memberTtlSeconds: 1 }, /from 2 to 3600 seconds; got 1 seconds/],
    ["memberTtlSeconds", { ...etcd, memberTtlSeconds: 2.5 }, /whole number.*got 2.5/],
    ["storeConnectTimeoutMs", { ...etcd, storeConnectTimeoutMs: 0 }, /from 1 to 2147483646 ms; got 0 ms/],
    ["maxTtlMs", { limits: { maxTtlMs: 2 ** 31 } }, /to 2147483646 ms/],
    ["maxTtlMs", { limits: { minTtlMs: 500, maxTtlMs: 400 } }, /from 500/],
    ["defaultTtlMs", { limits: { minTtlMs: 20_000 } }, /from 20000 to 86400000 ms; got 10000 ms/],
    ["maxMessageBytes", { limits: { maxMessageBytes: 1_000 } }, /from 3584/],
    ["maxTickets", { limits: { maxTickets: Number.NaN } }, /got NaN/],
    ["metrics", { metrics: { families: ["a", "a"] } }, /families: expected each family once/],
    ["metrics", { metrics: { families: ["a**"] } }, /families.0: expected no two/],
    ["metrics", { metrics: { families: ["other"] } }, /families.0: expected another word/],
    ["cors", { cors: { origins: ["https://a.example", "*"] } }, /such as https:\/\/app\.example\.com.*got "\*"/],
    ["cors", { cors: { origin: [] } as never }, /"origin"/],
  ];
  test.each(invalid)("refuses %s of %j", (setting, input, message) => {
    const complete = () => completeConfig(input);
    expect(complete).toThrow(ConfigError);
    expect(complete).toThrow(expect.objectContaining({ faults: [expect.objectContaining({ setting })] }));
    expect(complete).toThrow(message);
  });

  test("tells all that is wrong, and nothing that only follows from it", () => {
    const problemsOf = (input: ConfigInput): string[] => {
      try {
        completeConfig(input);
      } catch (error) {
        return error instanceof ConfigError ? error.faults.map(({ setting }) => setting) : [String(error)];
      }
      return [];
    };
    const limits = { minTtlMs: 0, maxTtlMs: -1, heartbeatMs: 1, sessionTimeoutMs: 1, maxTickets: 0 };
    expect(problemsOf({ serverAddr: "x", drainMs: -1, limits })).toEqual([
      ...["serverAddr", "drainMs"],
      ...["minTtlMs", "maxTtlMs", "heartbeatMs", "maxTickets", "sessionTimeoutMs"],
    ]);
    expect(
      problemsOf({
        storeAddrs: ["a", "b:2379"],
        storeKeyPrefix: "",
        memberTtlSeconds: 0,
        storeQuotaBytes: 0,
        store: { tls: { cert: "c", ca: "ca" }, username: "u" },
      }),
    ).toEqual([
      ...["storeAddrs", "store.tls.cert", "store.username"],
      ...["storeKeyPrefix", "memberTtlSeconds", "storeQuotaBytes"],
    ]);
    expect(problemsOf({ storeKeyPrefix: "x", memberTtlSeconds: 5 })).toEqual(["storeKeyPrefix", "memberTtlSeconds"]);
    // That strangers could come in is not said of certificates that cannot be read.
    expect(problemsOf({ bindAddr: "[::]:3002", tls: { cert: "", key: "" } })).toEqual(["tls.cert", "tls.key"]);
  });

  test.each([
    [{ bindAddr: "0.0.0.0:3002", insecureListen: true }, true],
    [{ bindAddr: "[::]:3002", insecureListen: true }, true],
    [{ bindAddr: "0.0.0.0:3002", insecureListen: true, serverAddr: "node-1:3002" }, false],
    [{}, false],
  ])("%j advertises every address of the machine: %s", (input, expected) => {
    expect(advertisesWildcard(completeConfig(input))).toBe(expected);
  });

  test.each([
    [{}, true],
    [{ bindAddr: "localhost:0" }, true],
    [{ bindAddr: "[::1]:3002" }, true],
    [{ bindAddr: "127.9.9.9:3002" }, true],
    [{ console: "off" as const }, false],
    [{ bindAddr: "0.0.0.0:3002", insecureListen: true }, false],
    [{ bindAddr: "[::]:3002", insecureListen: true }, false],
    [{ bindAddr: "127.example.com:3002", insecureListen: true }, false],
    [{ bindAddr: "10.0.0.1:3002", insecureListen: true, console: "on" as const }, true],
    [{ bindAddr: "10.0.0.1:3002", auth: { principals: [{ name: "a", tokenSha256: ["0".repeat(64)] }] } }, true],
    [{ bindAddr: "10.0.0.1:3002", console: "off" as const, insecureListen: true }, false],
  ])("%j has a console: %s", (input, expected) => {
    expect(completeConfig(input).console).toBe(expected);
  });
});

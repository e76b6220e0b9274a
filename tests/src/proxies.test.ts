import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ClientEvents, MetaClient } from "@metasrv/meta-client";
import {
  type Certificate,
  createSelfSignedCertificate,
  leakCheck,
  startEtcd,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { plainConfig, type ProxyName, ProxyProgram, shownConfig } from "./proxy-program.js";

let certificate: Certificate;

beforeAll(async () => {
  certificate = await createSelfSignedCertificate({ hosts: ["127.0.0.1"] });
});

/** Runs a proxy between a client and a server. */
async function withProxy(
  name: ProxyName,
  config: string,
  body: (meta: MetaClient, carriers: ClientEvents["connected"][]) => Promise<void>,
): Promise<void> {
  await using server = await startMetasrv();
  await using proxy = await ProxyProgram.start(name, config, server.address, certificate);
  const carriers: ClientEvents["connected"][] = [];
  await using meta = new MetaClient({
    ...(config.includes(" ssl")
      ? { endpoints: [`https://${proxy.address}`], tls: { ca: certificate.cert } }
      : { endpoints: [`http://${proxy.address}`] }),
    discover: false,
  });
  meta.on("connected", (carrier) => carriers.push(carrier));
  await body(meta, carriers);
  if (name === "nginx") {
    expect(await proxy.accessLog()).not.toContain("?");
  }
}

const cases: [string, ProxyName, string, Partial<ClientEvents["connected"]>][] = [
  ["nginx as the guide shows it", "nginx", await shownConfig("nginx"), { carrier: "stream", httpVersion: "2" }],
  ["HAProxy as the guide shows it", "haproxy", await shownConfig("haproxy"), { carrier: "stream", httpVersion: "2" }],
  [
    "nginx by default, HTTP/2 to clients",
    "nginx",
    plainConfig("nginx", "http2"),
    { carrier: "attach", httpVersion: "2" },
  ],
  ["nginx by default, HTTP/1.1 to clients", "nginx", plainConfig("nginx"), { carrier: "attach", httpVersion: "1.1" }],
  [
    "nginx by default, HTTP/1.1 over TLS to clients",
    "nginx",
    plainConfig("nginx", " ssl; ssl_certificate certificate.pem; ssl_certificate_key certificate.pem"),
    { carrier: "attach", httpVersion: "1.1", why: "TLS offers no HTTP/2 there" },
  ],
  [
    "HAProxy by default, HTTP/1.1 over TLS to clients",
    "haproxy",
    plainConfig("haproxy", "ssl crt certificate.pem proto h1"),
    { carrier: "attach", httpVersion: "1.1", why: "the endpoint answers HTTP/2 in HTTP/1.1" },
  ],
  [
    "HAProxy by default, HTTP/2 to clients",
    "haproxy",
    plainConfig("haproxy", "proto h2"),
    { carrier: "attach", httpVersion: "2" },
  ],
  [
    "HAProxy by default, HTTP/1.1 to clients",
    "haproxy",
    plainConfig("haproxy", "proto h1"),
    { carrier: "attach", httpVersion: "1.1" },
  ],
];

describe.each(cases)("%s", (_, name, config, carrier) => {
  test("locks are had, waited for, refused, handed over and lost as without it", async () => {
    await withProxy(name, config, async (meta, carriers) => {
      const startedAt = performance.now();
      const first = await meta.lock("a");
      expect(performance.now() - startedAt).toBeLessThan(3_000);
      expect(await meta.tryLock("a")).toBeNull();
      const abort = new AbortController();
      const withdrawn = meta.lock("a", { signal: abort.signal }).catch((error: unknown) => error);
      const next = meta.lock("a");
      await until(async () => (await meta.locks.get("a")).waiters === 2, { what: "two waits" });
      abort.abort(new Error("enough"));
      expect(await withdrawn).toEqual(new Error("enough"));
      await first.release();
      await using second = await next;
      expect(second.token).toBeGreaterThan(first.token);
      const many = await Promise.all(Array.from({ length: 200 }, (_, n) => meta.lock(`many/${n}`)));
      await Promise.all(many.map((lock) => lock.release()));
      const lost = new Promise((resolve) => {
        second.signal.addEventListener("abort", resolve);
      });
      await meta.locks.force("a", second.token, { reason: "a test" });
      await lost;
      expect(carriers).toMatchObject([carrier]);
    });
  });
});

// Above the 2 s in which both sides of a session send something.
const limitMs = 5_000;

/** The configuration with short time limits in place of long ones, those included that a proxy has by itself. */
function withShortLimits(config: string): string {
  const limit = `${limitMs / 1_000}s`;
  const short = config.replaceAll(/\b(1h|60s)\b/g, limit);
  const ofPassing = `proxy_read_timeout ${limit}; proxy_send_timeout ${limit}; client_body_timeout ${limit}; location`;
  return short.includes("proxy_pass") ? short.replace("location", ofPassing) : short;
}

/** One of each proxy and carrier. */
const fewer = cases.filter(([title]) =>
  [
    "nginx as the guide shows it",
    "HAProxy as the guide shows it",
    "nginx by default, HTTP/1.1 to clients",
    "HAProxy by default, HTTP/2 to clients",
  ].includes(title),
);

describe.each(fewer)("%s, with time limits of 5 s", (_, name, config) => {
  test("a wait and a lock last longer than that, and the wait is granted", async () => {
    await withProxy(name, withShortLimits(config), async (meta, carriers) => {
      const troubles: unknown[] = [];
      for (const kind of ["disconnected", "renewalFailed", "lost"] as const) {
        meta.on(kind, (event) => troubles.push(event));
      }
      const first = await meta.lock("a", { ttlMs: limitMs });
      const next = meta.lock("a");
      await until(async () => (await meta.locks.get("a")).waiters === 1, { what: "a wait" });
      // The proxy's clock cannot be moved.
      await sleep(1.5 * limitMs);
      expect(first.held).toBe(true);
      await first.release();
      await using second = await next;
      expect(second.token).toBeGreaterThan(first.token);
      expect(troubles).toEqual([]);
      expect(carriers).toHaveLength(1);
    });
  }, 60_000);
});

describe.each(fewer)("%s, and a server that is silent behind it", (_, name, config) => {
  test("the client goes on at another server long before the proxy gives up", async () => {
    await using etcd = await startEtcd();
    const pulse = ["--heartbeat-ms", "300", "--session-timeout-ms", "1000"];
    await using silent = await startMetasrv({ store: etcd.endpoint, args: pulse });
    await using other = await startMetasrv({ store: etcd.endpoint, args: pulse });
    await using proxy = await ProxyProgram.start(name, config, silent.address);
    const endpoints = [`http://${proxy.address}`, other.url];
    await using meta = new MetaClient({ endpoints, discover: false, firstEndpoint: "listed" });
    await using observer = new MetaClient({ endpoints: [other.url], discover: false });
    const left = new Promise((resolve) => {
      meta.on("disconnected", ({ endpoint }) => {
        resolve(endpoint);
      });
    });
    const ttlMs = 20_000;
    const kept = await meta.lock("kept", { ttlMs });
    const blocker = await observer.lock("waited for");
    const waiting = meta.lock("waited for");
    await until(async () => (await observer.locks.get("waited for")).waiters === 1, { what: "a wait" });

    await silent.kill("SIGSTOP");
    const silentAtMs = performance.now();
    expect(await left).toBe(endpoints[0]);
    await (await meta.lock("fresh")).release();
    expect(performance.now() - silentAtMs).toBeLessThan(ttlMs);
    expect(await kept.renew()).toBe("renewed");
    await blocker.release();
    await (await waiting).release();
    expect(kept.held).toBe(true);
    await kept.release();
  }, 60_000);
});

afterAll(leakCheck());

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ClientEvents, MetaClient } from "@metasrv/meta-client";
import { type Certificate, createSelfSignedCertificate, leakCheck, startMetasrv, until } from "@metasrv/testing";
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

afterAll(leakCheck());

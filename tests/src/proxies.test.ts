import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ClientEvents, MetaClient } from "@metasrv/meta-client";
import {
  type Certificate,
  Child,
  createSelfSignedCertificate,
  findOrInstall,
  freePorts,
  leakCheck,
  startMetasrv,
  until,
} from "@metasrv/testing";

type ProxyName = "nginx" | "haproxy";

const programs: Record<ProxyName, string | undefined> = {
  nginx: await findOrInstall("nginx").catch(() => undefined),
  haproxy: await findOrInstall("haproxy").catch(() => undefined),
};

/** The configuration that the guide shows. */
async function shown(name: ProxyName): Promise<string> {
  const guide = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
  return new RegExp(`\`\`\`${name}\n([^]*?)\`\`\``).exec(guide)?.[1] ?? "";
}

let certificate: Certificate;

beforeAll(async () => {
  certificate = await createSelfSignedCertificate({ hosts: ["127.0.0.1"] });
});

const nginxByDefault = (listen: string): string =>
  `server { listen ${listen}; location / { proxy_pass http://127.0.0.1:3002; } }`;

/** What a listener of nginx needs for TLS. */
const nginxTls = "ssl; ssl_certificate certificate.pem; ssl_certificate_key certificate.pem";

const haproxyByDefault = (bind: string): string => `defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend locks
  bind ${bind}
  default_backend metasrv
backend metasrv
  server one 127.0.0.1:3002
`;

/** A file that nginx takes for its whole configuration. */
const nginxFile = (folder: string, servers: string): string => `
pid ${folder}/pid; error_log ${folder}/error.log; daemon off; master_process off;
events { worker_connections 256; }
http {
  access_log ${folder}/access.log combined;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `${of}_temp_path ${folder}/${of};`).join("\n")}
  ${servers}
}`;

/** Runs a proxy between a client and a server. */
async function withProxy(
  name: ProxyName,
  program: string,
  config: string,
  body: (meta: MetaClient, carriers: ClientEvents["connected"][]) => Promise<void>,
): Promise<void> {
  await using server = await startMetasrv();
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "metasrv-proxy-"));
  const file = join(folder, "config");
  const own = config.replaceAll("127.0.0.1:3000", `127.0.0.1:${port}`).replaceAll("127.0.0.1:3002", server.address);
  await writeFile(file, name === "nginx" ? nginxFile(folder, own) : own);
  await writeFile(join(folder, "certificate.pem"), certificate.cert + certificate.key);
  const args =
    name === "nginx" ? ["-c", file, "-p", folder, "-e", join(folder, "error.log")] : ["-C", folder, "-f", file, "-db"];
  const proxy = await Child.start({ command: program, args, env: process.env });
  try {
    await until(() => opens(port), { what: `${name} to listen` });
    const carriers: ClientEvents["connected"][] = [];
    const at = `://127.0.0.1:${port}`;
    await using meta = new MetaClient({
      ...(config.includes(" ssl")
        ? { endpoints: [`https${at}`], tls: { ca: certificate.cert } }
        : { endpoints: [`http${at}`] }),
      discover: false,
    });
    meta.on("connected", (carrier) => carriers.push(carrier));
    await body(meta, carriers);
    if (name === "nginx") {
      const log = await readFile(join(folder, "access.log"), "utf8");
      expect(log).not.toContain("?");
    }
  } finally {
    await proxy.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => {
      resolve(false);
    });
  });
}

const cases: [string, ProxyName, () => string | Promise<string>, Partial<ClientEvents["connected"]>][] = [
  ["nginx as the guide shows it", "nginx", () => shown("nginx"), { carrier: "stream", httpVersion: "2" }],
  ["HAProxy as the guide shows it", "haproxy", () => shown("haproxy"), { carrier: "stream", httpVersion: "2" }],
  [
    "nginx by default, HTTP/2 to clients",
    "nginx",
    () => nginxByDefault("127.0.0.1:3000 http2"),
    { carrier: "attach", httpVersion: "2" },
  ],
  [
    "nginx by default, HTTP/1.1 to clients",
    "nginx",
    () => nginxByDefault("127.0.0.1:3000"),
    { carrier: "attach", httpVersion: "1.1" },
  ],
  [
    "nginx by default, HTTP/1.1 over TLS to clients",
    "nginx",
    () => nginxByDefault(`127.0.0.1:3000 ${nginxTls}`),
    { carrier: "attach", httpVersion: "1.1", why: "TLS offers no HTTP/2 there" },
  ],
  [
    "HAProxy by default, HTTP/1.1 over TLS to clients",
    "haproxy",
    () => haproxyByDefault("127.0.0.1:3000 ssl crt certificate.pem proto h1"),
    { carrier: "attach", httpVersion: "1.1", why: "the endpoint answers HTTP/2 in HTTP/1.1" },
  ],
  [
    "HAProxy by default, HTTP/2 to clients",
    "haproxy",
    () => haproxyByDefault("127.0.0.1:3000 proto h2"),
    { carrier: "attach", httpVersion: "2" },
  ],
  [
    "HAProxy by default, HTTP/1.1 to clients",
    "haproxy",
    () => haproxyByDefault("127.0.0.1:3000 proto h1"),
    { carrier: "attach", httpVersion: "1.1" },
  ],
];

describe.each(cases)("%s", (_, name, config, carrier) => {
  const program = programs[name];
  // Where neither the system nor its packages have the proxy, the test is shown as skipped.
  const run = program === undefined ? test.skip : test;

  run("locks are had, waited for, refused, handed over and lost as without it", async () => {
    await withProxy(name, program ?? "", await config(), async (meta, carriers) => {
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

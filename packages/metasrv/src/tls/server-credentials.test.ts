import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type Certificate, type CertificateAuthority, createCertificateAuthority, until } from "@metasrv/testing";
import { ManualClock } from "@metasrv/wire/testing";
import { pino } from "pino";
import type { Credentials } from "./credentials.js";
import { ServerCredentials } from "./server-credentials.js";
import { completeTls } from "./tls-settings.js";

const dayMs = 86_400_000;

let folder: string;
let clock: ManualClock;
let nowMs: number;
let logs: { readonly level: number; readonly msg: string }[];
let authority: CertificateAuthority;
let used: Credentials[];
let credentials: ServerCredentials | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-tls-"));
  clock = new ManualClock();
  nowMs = Date.now();
  logs = [];
  used = [];
  credentials = undefined;
  authority = await createCertificateAuthority();
});

afterEach(async () => {
  credentials?.stop();
  expect(clock.timers).toBe(0);
  await rm(folder, { recursive: true });
});

async function write({ cert, key }: Certificate, ca = authority.cert): Promise<void> {
  await writeFile(join(folder, "cert.pem"), cert);
  await writeFile(join(folder, "key.pem"), key);
  await writeFile(join(folder, "ca.pem"), ca);
}

async function open(from = folder): Promise<ServerCredentials> {
  const files = { cert: join(from, "cert.pem"), key: join(from, "key.pem"), clientCa: join(from, "ca.pem") };
  credentials = await ServerCredentials.open({
    settings: completeTls(files),
    clock,
    unixMs: () => nowMs,
    logger: pino({}, { write: (line: string) => logs.push(JSON.parse(line) as (typeof logs)[number]) }),
  });
  credentials.onChange = (changed) => used.push(changed);
  return credentials;
}

function issue(expiresInDays = 100): Promise<Certificate> {
  return authority.issue({ notAfter: new Date(nowMs + expiresInDays * dayMs) });
}

/** Lets the time of a look pass, and waits until it was done. */
async function look(watched: ServerCredentials): Promise<void> {
  await clock.advance(30_000);
  await watched.reload();
}

function said(): string[] {
  return logs.splice(0).map(({ level, msg }) => `${pino.levels.labels[level]}: ${msg}`);
}

describe("the files", () => {
  test("are read at the start, and looked at every 30 s", async () => {
    await write(await issue());
    const opened = await open();
    const renewed = await issue(200);
    await write(renewed);
    await clock.advance(30_000);
    await until(() => Promise.resolve(used.length === 1), { what: "the new certificate" });
    expect(used[0]?.cert.toString()).toBe(renewed.cert);
    expect(used[0]?.ca?.toString()).toBe(authority.cert);
    expect(opened.expiresAtMs).toBe(Math.floor((nowMs + 200 * dayMs) / 1000) * 1000);
    expect(said()).toEqual(["info: TLS certificate in use", "info: TLS certificate in use"]);
  });

  test("are not used again while nothing has changed", async () => {
    await write(await issue());
    const opened = await open();
    await look(opened);
    await look(opened);
    expect(used).toEqual([]);
  });

  test("that come by a symbolic link which is changed, as in Kubernetes, are noticed", async () => {
    const link = join(folder, "data");
    for (const [generation, certificate] of [await issue(), await issue(200)].entries()) {
      const to = join(folder, `generation-${generation}`);
      await mkdir(to);
      await writeFile(join(to, "cert.pem"), certificate.cert);
      await writeFile(join(to, "key.pem"), certificate.key);
      await writeFile(join(to, "ca.pem"), authority.cert);
    }
    await symlink(join(folder, "generation-0"), link);
    const opened = await open(link);
    await symlink(join(folder, "generation-1"), join(folder, "next"));
    await rename(join(folder, "next"), link);
    await opened.reload();
    expect(used).toHaveLength(1);
  });

  test("a change of the client authorities alone counts", async () => {
    const certificate = await issue();
    await write(certificate);
    const opened = await open();
    const { cert } = await createCertificateAuthority("next");
    await write(certificate, cert);
    await opened.reload();
    expect(used[0]?.ca?.toString()).toBe(cert);
  });
});

describe("files that are not good", () => {
  const cases: [string, (good: Certificate) => Promise<Partial<Certificate> & { ca?: string }>, RegExp][] = [
    [
      "a key of another certificate",
      async () => ({ key: (await issue()).key }),
      /key\.pem does not belong to the cert/,
    ],
    ["no key", () => Promise.resolve({ key: "" }), /key\.pem has no private key in PEM that can be read without/],
    ["no certificate", () => Promise.resolve({ cert: "hello" }), /cert\.pem has no certificate; expected PEM/],
    [
      "half a certificate",
      ({ cert }) => Promise.resolve({ cert: cert.replace(/\n.*\n/, "\n") }),
      /cert\.pem has a cert/,
    ],
    ["no client authority", () => Promise.resolve({ ca: "" }), /ca\.pem has no certificate/],
  ];

  test.each(cases)("%s: it does not start, and says why", async (_, spoil, message) => {
    const good = await issue();
    const { ca, ...spoilt } = await spoil(good);
    await write({ ...good, ...spoilt }, ca);
    await expect(open()).rejects.toThrow(message);
  });

  test.each(cases)("%s: what was there before is used on, with one warning", async (_, spoil, message) => {
    const good = await issue();
    await write(good);
    const opened = await open();
    const { ca, ...spoilt } = await spoil(good);
    await write({ ...good, ...spoilt }, ca);
    said();
    await look(opened);
    await look(opened);
    expect(used).toEqual([]);
    expect(said()).toEqual(["warn: the TLS files have changed and cannot be used; those before are used on"]);
    expect(opened.warnings()).toEqual([expect.stringMatching(message)]);
    await write(good);
    await look(opened);
    expect(opened.warnings()).toEqual([]);
  });

  test("a file that is not there is named", async () => {
    await expect(open()).rejects.toThrow(/the certificate cannot be read: .*ENOENT.*cert\.pem/);
  });
});

describe("the end of a certificate", () => {
  test("is told 14 days and one day before, and when it has come, once each", async () => {
    await write(await issue(20));
    const opened = await open();
    said();
    await look(opened);
    expect([said(), opened.warnings()]).toEqual([[], []]);
    for (const [days, line, warning] of [
      [7, "warn: the TLS certificate expires soon; replace its files", /^the TLS certificate expires: 20.*; replace/],
      [12.5, "warn: the TLS certificate expires soon; replace its files", /^the TLS certificate expires: /],
      [
        1,
        "error: the TLS certificate has expired: clients refuse it; replace its files",
        /^the TLS certificate has exp/,
      ],
    ] as const) {
      nowMs += days * dayMs;
      await look(opened);
      await look(opened);
      expect(said()).toEqual([line]);
      expect(opened.warnings()).toEqual([expect.stringMatching(warning)]);
    }
    await write(await issue(100));
    await opened.reload();
    expect([said(), opened.warnings()]).toEqual([["info: TLS certificate in use"], []]);
  });

  test("is the end of the first that ends, of all in the file", async () => {
    const certificate = await issue();
    const soon = await issue(3);
    await write({ ...certificate, cert: certificate.cert + soon.cert });
    const opened = await open();
    expect(opened.warnings()).toHaveLength(1);
  });
});

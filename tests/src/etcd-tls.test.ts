import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  type CertificateAuthority,
  type CertificateOptions,
  createCertificateAuthority,
  type Etcd,
  type EtcdTlsFiles,
  leakCheck,
  startEtcd,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { EtcdUsers } from "./etcd-users.js";
import { probe } from "./http-probe.js";
import { PlainLocks } from "./plain-locks.js";
import { runMetasrv, startedInVain } from "./started-in-vain.js";

const hosts = ["127.0.0.1"];

let folder: string;
let authority: CertificateAuthority;
/** etcd's files, and a server's. */
let tls: Required<EtcdTlsFiles>;
let own: { readonly ca: string; readonly cert: string; readonly key: string };
let trusting: string[];
let known: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-tls-"));
  const path = (name: string) => join(folder, name);
  tls = { cert: path("etcd.pem"), key: path("etcd.key"), clientCa: path("client-ca.pem") };
  own = { ca: path("ca.pem"), cert: path("own.pem"), key: path("own.key") };
  trusting = ["--store-tls-ca", own.ca];
  known = ["--store-tls-cert", own.cert, "--store-tls-key", own.key];
  await renewAll();
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

afterAll(leakCheck());

/** Makes a new authority, and new certificates of it for etcd and for the server. */
async function renewAll(): Promise<void> {
  authority = await createCertificateAuthority();
  await Promise.all([writeFile(tls.clientCa, authority.cert), writeFile(own.ca, authority.cert)]);
  await issue(tls, { hosts });
  await issue(own, { commonName: "locks", usages: ["client"] });
}

async function issue(files: { readonly cert: string; readonly key: string }, options: CertificateOptions) {
  const { cert, key } = await authority.issue(options);
  await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key)]);
}

const addressOf = (etcd: Etcd) => `https://${etcd.endpoint}`;

async function saidInVain(address: string, ...args: string[]): Promise<string> {
  const { code, said, tookMs } = await startedInVain("--store-addrs", address, ...args);
  expect(code).toBe(1);
  // It does not use up the 30 s that etcd may be out of reach.
  expect(tookMs).toBeLessThan(20_000);
  return said;
}

test("an etcd with a private authority that asks for certificates: serves, and dumps", async () => {
  await using etcd = await startEtcd({ tls });
  await using node = await startMetasrv({ store: addressOf(etcd), args: [...trusting, ...known] });
  using locks = new PlainLocks(node.url);
  await locks.lock("a", { ttlMs: 60_000 });
  // Without a scheme, options of TLS mean https.
  const dump = await runMetasrv("dump", "--store-addrs", etcd.endpoint, ...trusting, ...known);
  expect(dump).toMatchObject({ code: 0, lines: [expect.stringContaining('"name":"a"')] });
}, 60_000);

test("a certificate's common name is the user, without a password", async () => {
  await using etcd = await startEtcd({ tls });
  const { cert, key } = await authority.issue({ commonName: "root" });
  using users = await EtcdUsers.of(`https://${etcd.endpoint}`, { rootCertificate: authority.cert, cert, key });
  await users.add("locks", "unused", [{ permType: "Readwrite", prefix: "metasrv" }]);
  await users.turnOn();
  await using node = await startMetasrv({ store: addressOf(etcd), args: [...trusting, ...known] });
  using locks = new PlainLocks(node.url);
  await locks.unlock(await locks.lock("a"));
  await issue(own, { commonName: "nobody", usages: ["client"] });
  expect(await saidInVain(addressOf(etcd), ...trusting, ...known)).toContain(
    "etcd does not let the user of its certificate read and write all keys under the prefix",
  );
}, 60_000);

test("files that were changed count from the next connection on, without a restart", async () => {
  await using etcd = await startEtcd({ tls });
  await using node = await startMetasrv({ store: addressOf(etcd), args: [...trusting, ...known] });
  using locks = new PlainLocks(node.url);
  const held = await locks.lock("a", { ttlMs: 60_000 });
  const before = await authority.issue({ commonName: "locks", usages: ["client"] });
  await renewAll();
  await writeFile(own.cert, before.cert);
  await writeFile(own.key, before.key);
  await etcd.restart();
  await until(async () => (await probe(`${node.url}/readyz`)).text.includes("etcd does not take the certificate in"), {
    what: "the problem to be told",
  });
  await node.waitForLog(({ msg }) => String(msg).startsWith("etcd refuses this server"));
  await issue(own, { commonName: "locks", usages: ["client"] });
  await until(async () => (await probe(`${node.url}/readyz`)).status === 200, { what: "readiness" });
  await locks.unlock(held);
}, 90_000);

test("what is wrong with certificates is said at the start", async () => {
  await using etcd = await startEtcd({ tls });
  const address = addressOf(etcd);
  expect(await saidInVain(address)).toContain(
    "give the certificate of the authority that has signed it as store.tls.ca",
  );
  expect(await saidInVain(address, ...trusting)).toContain("etcd asks for a certificate of this server: give one");
  expect(await saidInVain(`http://${etcd.endpoint}`, "--store-connect-timeout", "1s")).toContain(
    "https:// where etcd uses TLS",
  );
  const { cert } = await createCertificateAuthority();
  await writeFile(own.ca, cert);
  expect(await saidInVain(address, ...trusting, ...known)).toContain(`not signed by an authority in ${own.ca}`);
  await writeFile(own.ca, authority.cert);
  await issue(own, { usages: ["client"], notAfter: new Date(Date.now() - 1_000) });
  expect(await saidInVain(address, ...trusting, ...known)).toContain(
    `etcd does not take the certificate in ${own.cert}`,
  );
  await writeFile(own.key, (await authority.issue()).key);
  expect(await saidInVain(address, ...trusting, ...known)).toContain("does not fit the certificate in");
  await writeFile(own.key, "no key");
  expect(await saidInVain(address, ...trusting, ...known)).toContain("expected a private key in PEM");
  expect(await saidInVain(address, "--store-tls-ca", join(folder, "none"))).toContain("ENOENT");
}, 120_000);

test("what is wrong with etcd's own certificate is said at the start", async () => {
  const { clientCa, ...anybody } = tls;
  expect(clientCa).toBe(tls.clientCa);
  await issue(tls, { hosts: ["etcd.example"] });
  await using etcd = await startEtcd({ tls: anybody });
  expect(await saidInVain(addressOf(etcd), ...trusting)).toContain("etcd's certificate is for other names");
  await issue(tls, { hosts, notAfter: new Date(Date.now() - 1_000) });
  expect(await saidInVain(addressOf(etcd), ...trusting)).toContain("etcd's certificate is not valid now: renew it");
  await using plain = await startEtcd();
  expect(await saidInVain(addressOf(plain), ...trusting, "--store-connect-timeout", "1s")).toContain(
    "https:// where etcd uses TLS",
  );
}, 60_000);

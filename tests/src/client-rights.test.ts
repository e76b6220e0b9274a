import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { MetaClient, type MetaClientOptions, PermissionDeniedError, UnauthenticatedError } from "@metasrv/meta-client";
import { createCertificateAuthority, leakCheck, type Metasrv, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { Http1Proxy } from "./http1-proxy.js";

let folder: string;
let file: string;
let ca: string;
let secured: string[];
const opened: AsyncDisposable[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-client-rights-"));
  file = join(folder, "metasrv.json");
  const authority = await createCertificateAuthority();
  const { cert, key } = await authority.issue({ hosts: ["127.0.0.1"] });
  ca = authority.cert;
  await writeFile(join(folder, "cert.pem"), cert);
  await writeFile(join(folder, "key.pem"), key);
  secured = [`--config=${file}`, `--tls-cert=${join(folder, "cert.pem")}`, `--tls-key=${join(folder, "key.pem")}`];
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

function use<T extends AsyncDisposable>(each: T): T {
  opened.push(each);
  return each;
}

/** One principal, known by these tokens, may lock and inspect what begins with "orders/". */
async function writeTokens(...tokens: string[]): Promise<void> {
  const tokenSha256 = tokens.map((token) => createHash("sha256").update(token).digest("hex"));
  const principals = [{ name: "billing", tokenSha256 }];
  const roles = { billing: [{ prefix: "orders/", allow: ["lock", "inspect"] }] };
  await writeFile(file, JSON.stringify({ auth: { principals, roles } }));
}

const ways: [string, boolean, Partial<MetaClientOptions>][] = [
  ["TLS, HTTP/2 and Connect", true, {}],
  ["TLS, HTTP/2 and gRPC", true, { protocol: "grpc" }],
  ["a proxy of HTTP/1.1 on this machine", false, {}],
];

describe.each(ways)("over %s", (_, tls, options) => {
  async function start(): Promise<Metasrv> {
    await writeTokens("first");
    return use(await startMetasrv({ args: tls ? secured : [`--config=${file}`] }));
  }

  async function client(server: Metasrv, token: MetaClientOptions["token"]): Promise<MetaClient> {
    const own = tls
      ? { endpoints: [`https://${server.address}`], tls: { ca } }
      : { endpoints: [use(await Http1Proxy.start()).to(server.url)] };
    return use(new MetaClient({ ...own, discover: false, token, ...options }));
  }

  test("a client does what it may, and is told what it may not", async () => {
    const meta = await client(await start(), "first");
    const lock = await meta.lock("orders/42");
    expect(await lock.renew()).toBe("renewed");
    expect(await meta.locks.get("orders/42")).toMatchObject({ holderCount: 1 });
    for (const call of [meta.lock("invoices"), meta.tryLock("invoices"), meta.locks.get("invoices")]) {
      const error = await call.catch((refused: unknown) => refused);
      expect(error).toBeInstanceOf(PermissionDeniedError);
      expect(error).toMatchObject({ message: expect.stringContaining("invoices") });
    }
    expect(lock.held).toBe(true);
    await lock.release();
  });

  test.each([
    ["a wrong token", "wrong"],
    ["no token", undefined],
  ])("%s is an error at once, in sessions and in calls", async (__, token) => {
    const meta = await client(await start(), token);
    await expect(meta.lock("orders/42")).rejects.toBeInstanceOf(UnauthenticatedError);
    await expect(meta.locks.get("orders/42")).rejects.toBeInstanceOf(UnauthenticatedError);
    expect(await meta.members()).toHaveLength(1);
  });

  test("a token is replaced while a lock is held, and the lock stays held", async () => {
    const server = await start();
    let token = "first";
    const meta = await client(server, () => token);
    const ended = new Promise((resolve) => meta.on("disconnected", resolve));
    const lock = await meta.lock("orders/42", { ttlMs: 20_000 });
    await writeTokens("second");
    token = "second";
    await server.kill("SIGHUP");
    // The server ends the session of a token that proves nobody any more.
    await ended;
    await (await meta.lock("orders/43")).release();
    expect(await lock.renew()).toBe("renewed");
    await lock.release();
  });
});

test("members prove by TLS, and without a token, that they are of the cluster, and are used when one is gone", async () => {
  await writeTokens("first");
  await using etcd = await startEtcd();
  const first = use(await startMetasrv({ store: etcd.endpoint, args: secured }));
  const second = use(await startMetasrv({ store: etcd.endpoint, args: secured }));
  const meta = use(
    new MetaClient({
      endpoints: [`https://${first.address}`],
      firstEndpoint: "listed",
      token: "first",
      tls: { ca },
      unavailableAfterMs: 20_000,
    }),
  );
  const connected: string[] = [];
  meta.on("connected", ({ endpoint }) => connected.push(endpoint));
  const lock = await meta.lock("orders/42", { ttlMs: 20_000 });
  await until(async () => (await meta.members()).length === 2, { what: "two members" });
  // That the other is known shows by where the client goes when this one stops, which it does in order.
  const moved = new Promise((resolve) => meta.on("moved", resolve));
  void first.stop();
  await moved;
  await until(async () => (await lock.renew()) === "renewed", { what: "a renewal at the other server" });
  expect(connected.at(-1)).toBe(`https://${second.address}`);
  await lock.release();
});

afterAll(leakCheck());

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { MetaClient, type MetaClientOptions, UnavailableError } from "@metasrv/meta-client";
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
  leakCheck,
  type Metasrv,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { startedInVain } from "./started-in-vain.js";

let folder: string;
let authority: CertificateAuthority;
let client: Certificate;
let running: AsyncDisposable[];

beforeEach(async () => {
  running = [];
  folder = await mkdtemp(join(tmpdir(), "metasrv-tls-"));
  authority = await createCertificateAuthority();
  client = await authority.issue({ usages: ["client"] });
});

afterEach(async () => {
  for (const each of running.reverse()) {
    await each[Symbol.asyncDispose]();
  }
  await rm(folder, { recursive: true });
});
afterAll(leakCheck());

/** Disposes of it after the test; the last one first. */
function use<T extends AsyncDisposable>(each: T): T {
  running.push(each);
  return each;
}

async function writeFiles(certificate: Certificate, clientCa = authority.cert): Promise<void> {
  await writeFile(join(folder, "cert.pem"), certificate.cert);
  await writeFile(join(folder, "key.pem"), certificate.key);
  await writeFile(join(folder, "ca.pem"), clientCa);
}

async function start(...args: string[]): Promise<Metasrv> {
  await writeFiles(await authority.issue({ hosts: ["127.0.0.1"] }));
  const files = ["cert", "key"].map((name) => `--tls-${name}=${join(folder, `${name}.pem`)}`);
  return use(await startMetasrv({ args: [...files, `--tls-client-ca=${join(folder, "ca.pem")}`, ...args] }));
}

function connect(node: Metasrv, options: Partial<MetaClientOptions> = {}): MetaClient {
  const tls = { ca: authority.cert, ...client };
  return use(new MetaClient({ endpoints: [`https://${node.address}`], tls, ...options }));
}

/** Takes locks all the while, and holds some; fails when one cannot be had or is lost. */
class Load {
  readonly #running: Promise<unknown>;
  #stopped = false;
  acquired = 0;

  constructor(clients: readonly MetaClient[]) {
    this.#running = Promise.all(clients.flatMap((meta, n) => [this.#acquire(meta, n), this.#hold(meta, n)]));
    this.#running.catch(() => undefined);
  }

  /** Resolves once so many more locks were taken. */
  async more(locks: number): Promise<void> {
    const enough = this.acquired + locks;
    const reached = until(() => Promise.resolve(this.acquired >= enough), { what: "more locks" });
    await Promise.race([reached, this.#running]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #acquire(meta: MetaClient, n: number): Promise<void> {
    while (!this.#stopped) {
      await meta.withLock(`shared/${n % 4}`, { waitMs: 10_000 }, () => Promise.resolve());
      this.acquired++;
    }
  }

  async #hold(meta: MetaClient, n: number): Promise<void> {
    await using lock = await meta.lock(`held/${n}`, { ttlMs: 5_000 });
    while (!this.#stopped) {
      lock.throwIfLost();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe("new TLS files", () => {
  test("are used from SIGHUP on, and nobody who uses the server notices", async () => {
    const node = await start();
    const clients = Array.from({ length: 8 }, () => connect(node));
    const load = new Load(clients);
    await load.more(500);
    for (let round = 1; round <= 5; round++) {
      await writeFiles(await authority.issue({ hosts: ["127.0.0.1"], commonName: `renewed ${round}` }));
      await node.kill("SIGHUP");
      await node.waitForLog(({ subject }) => String(subject).startsWith(`CN=renewed ${round}`));
      await load.more(500);
    }
    await load.stop();
    expect(load.acquired).toBeGreaterThan(3_000);
  }, 60_000);

  test("without a client's authority shut it out, after what it has open", async () => {
    const node = await start();
    const inside = connect(node);
    await using held = await inside.lock("held");
    const next = await createCertificateAuthority("the next authority");
    await writeFiles(await authority.issue({ hosts: ["127.0.0.1"] }), next.cert);
    await node.kill("SIGHUP");
    await node.waitForLog(({ msg }) => msg === "told to reload");
    await until(() => Promise.resolve(node.logs.filter(({ msg }) => msg === "TLS certificate in use").length === 2), {
      what: "the new files in use",
    });
    const outside = connect(node, { unavailableAfterMs: 500 });
    await expect(outside.lock("other")).rejects.toThrow();
    const welcome = connect(node, { tls: { ca: authority.cert, ...(await next.issue()) } });
    await (await welcome.lock("another")).release();
    held.throwIfLost();
    expect(node.logs).toEqual(
      expect.arrayContaining([expect.objectContaining({ msg: "a client was refused for its certificate" })]),
    );
  });

  test("that do not fit together are not used", async () => {
    const node = await start();
    const { key } = await authority.issue();
    await writeFile(join(folder, "key.pem"), key);
    await node.kill("SIGHUP");
    await node.waitForLog(({ msg }) => String(msg).includes("cannot be used; those before are used on"));
    await (await connect(node).lock("still")).release();
  });
});

test("connections that become old are left without a lock or a wait being lost", async () => {
  const node = await start("--tls-max-session-age=1s", "--tls-plaintext=loopback");
  const load = new Load(Array.from({ length: 4 }, () => connect(node)));
  await load.more(100);
  const waiting = connect(node);
  const blocker = await connect(node).lock("waited for", { ttlMs: 20_000 });
  const granted = waiting.lock("waited for");
  // Each connection lasts a second, and five more until it is broken off.
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  await load.more(100);
  await blocker.release();
  await (await granted).release();
  await load.stop();
}, 60_000);

describe.each(["connect", "grpc"] as const)("a client by %s that is refused", (protocol) => {
  test.each([
    [
      "without TLS",
      "http",
      undefined,
      'it refuses connections without TLS; begin the endpoint with "https://" (',
      "This port speaks TLS only: use https:// instead of http://.",
    ],
    [
      "without a certificate",
      "https",
      {},
      "it refuses this client; give tls.cert and tls.key of a certificate that it trusts (",
      "This server serves only clients with a certificate that it trusts",
    ],
  ])("%s is told why by the server", async (_, scheme, tls, advice, why) => {
    const node = await start();
    const meta = connect(node, {
      endpoints: [`${scheme}://${node.address}`],
      tls: tls && { ca: authority.cert },
      protocol,
      unavailableAfterMs: 200,
    });
    for (const call of [() => meta.lock("a"), () => meta.members()]) {
      const error = await call().catch((refused: unknown) => refused);
      expect(error).toBeInstanceOf(UnavailableError);
      expect(String(error)).toContain(advice);
      expect(String(error)).toContain(why);
    }
  });
});

describe("a server that does not start", () => {
  test.each([
    [["--bind-addr", "0.0.0.0:0"], /--bind-addr: other machines reach 0\.0\.0\.0:0, and whoever does/],
    [["--bind-addr", "0.0.0.0:0", "--insecure-listen", "false"], /--bind-addr: other machines reach/],
    [["--tls-cert", "cert.pem"], /--tls-key: expected the path of a PEM file/],
    [["--tls-cert", "no.pem", "--tls-key", "no.pem"], /the certificate cannot be read: .*no\.pem/],
  ])("says why: %j", async (args, message) => {
    const { said } = await startedInVain(...args);
    expect(said).toMatch(message);
  });
});

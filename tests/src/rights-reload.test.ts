import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { LockService, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import {
  type CertificateAuthority,
  createCertificateAuthority,
  leakCheck,
  type Metasrv,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { PlainLocks, rpcFailure } from "./plain-locks.js";
import { PlainSession } from "./plain-session.js";
import { openRpcClient, type Proof } from "./rpc-client.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const ttlMs = 2_000;

let folder: string;
let file: string;
let audit: string;
let tls: Record<"cert" | "key" | "clientCa", string>;
/** Signs the certificate of the server, and those of clients. */
let authority: CertificateAuthority;
const clients: Disposable[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-rights-"));
  file = join(folder, "metasrv.yaml");
  audit = join(folder, "audit.jsonl");
  tls = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem"), clientCa: join(folder, "clients.pem") };
  authority = await createCertificateAuthority();
  const { cert, key } = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  await Promise.all([writeFile(tls.cert, cert), writeFile(tls.key, key), writeFile(tls.clientCa, authority.cert)]);
});

afterEach(async () => {
  for (const client of clients.splice(0)) {
    client[Symbol.dispose]();
  }
  await rm(folder, { recursive: true });
});

/** How principals prove who they are. */
type Means = "token" | "certificate";

async function start(by: Means): Promise<Metasrv> {
  const secured = ["--tls-cert", tls.cert, "--tls-key", tls.key, "--tls-client-ca", tls.clientCa];
  return startMetasrv({ args: ["--config", file, ...(by === "certificate" ? secured : [])] });
}

/** A client of a principal. @param signs - who has signed its certificate, if it has one */
async function open(by: Means, { address }: Metasrv, principal: string, signs = authority) {
  const proof: Proof =
    by === "token"
      ? { token: principal }
      : { tls: { ca: authority.cert, ...(await signs.issue({ uris: [uriOf(principal)], usages: ["client"] })) } };
  const client = openRpcClient("connect", `${by === "token" ? "http" : "https"}://${address}`, proof);
  clients.push(client);
  return createClient(LockService, client.transport);
}

const uriOf = (principal: string) => `spiffe://corp/${principal}`;

/** What principals may lock, by their names, which are their tokens and in their certificates. */
async function writeRights(rights: Readonly<Record<string, readonly string[]>>, more = ""): Promise<void> {
  const principals = Object.keys(rights).map((name) => ({
    ...{ name, certificateSan: uriOf(name) },
    tokenSha256: [sha256(name)],
  }));
  const roles = Object.fromEntries(
    Object.entries(rights).map(([name, prefixes]) => {
      return [name, prefixes.map((prefix) => ({ prefix, allow: ["lock", "inspect"] }))];
    }),
  );
  await writeFile(file, JSON.stringify({ auth: { principals, roles }, audit: { file: audit } }) + more);
}

/** Changes files, has them read again, and waits until the log says all of this. */
async function reload(metasrv: Metasrv, change: () => Promise<unknown>, ...msgs: readonly RegExp[]): Promise<void> {
  const count = (msg: RegExp) => metasrv.logs.filter((line) => msg.test(String(line.msg))).length;
  // The server looks every 30 s by itself, which may be just after the change.
  const seen = msgs.map(count);
  await change();
  await metasrv.kill("SIGHUP");
  await until(() => msgs.every((msg, at) => count(msg) > (seen[at] ?? 0)), { what: String(msgs), timeoutMs: 20_000 });
}

const readAgain = /were read again/u;
const newTls = /TLS certificate in use/u;

/** One who holds many locks in a session and renews them over and over. */
class Holder implements Disposable {
  readonly events: SessionEvent[] = [];
  readonly #session: PlainSession;
  readonly #count: number;
  #number = 1_000_000;
  #over = false;
  readonly ended: Promise<unknown>;

  constructor(service: Client<typeof LockService>, prefix: string, count: number) {
    this.#count = count;
    this.#session = new PlainSession(service);
    for (let number = 1; number <= count; number++) {
      const value = {
        lock: { case: "name", value: `${prefix}${number}` },
        ticketId: randomBytes(16),
        ttlMs: BigInt(ttlMs),
      } as const;
      this.#session.send({ number, command: { case: "lock", value } });
    }
    this.ended = this.#read();
  }

  count(kind: SessionEvent["event"]["case"]): number {
    return this.events.filter(({ event }) => event.case === kind).length;
  }

  async holdsAll(): Promise<void> {
    await until(() => this.count("granted") === this.#count, { what: "all grants", timeoutMs: 20_000 });
    void this.#renew();
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#session.end();
  }

  async #read(): Promise<unknown> {
    try {
      for (;;) {
        const { events } = await this.#session.message();
        this.events.push(...events);
      }
    } catch (error) {
      return error;
    }
  }

  async #renew(): Promise<void> {
    while (!this.#over) {
      for (let lock = 1; lock <= this.#count; lock++) {
        this.#session.send({ number: this.#number++, command: { case: "renew", value: { lock } } });
      }
      // The pace of the load: a quarter of the TTL.
      await sleep(ttlMs / 4);
    }
  }
}

/** Who locks and unlocks by calls, all the time, at several places. */
class Calls {
  #rounds = 0;
  #working = true;
  readonly #ended: Promise<unknown>;

  constructor(service: Client<typeof LockService>, prefix: string) {
    const workers = Array.from({ length: 8 }, async (_, worker) => {
      for (; this.#working; this.#rounds++) {
        const { outcome } = await service.lock({ lock: { case: "name", value: `${prefix}worker/${worker}` } });
        await service.unlock({ key: outcome.case === "granted" ? outcome.value.key : new Uint8Array() });
      }
    });
    this.#ended = Promise.all(workers);
    // Whoever waits for more, or for the end, is told.
    this.#ended.catch(() => undefined);
  }

  /** Resolves when so many more rounds are done; rejects when a call has failed. */
  async more(rounds: number): Promise<void> {
    const enough = this.#rounds + rounds;
    const done = until(() => this.#rounds > enough, { what: "more work", timeoutMs: 20_000 });
    await Promise.race([done, this.#ended]);
  }

  async stop(): Promise<void> {
    this.#working = false;
    await this.#ended;
  }
}

// Real time: several reloads, a TTL, and work in between, on a machine that may be busy.
test.each<Means>(["token", "certificate"])(
  "rights of those known by a %s take effect at once when they are read again, and whoever keeps theirs loses nothing",
  async (by) => {
    const before = { kept: ["kept/"], withdrawn: ["withdrawn/"], gone: ["gone/"], watch: ["withdrawn/", "gone/"] };
    await writeRights(before);
    await using metasrv = await start(by);
    using kept = new Holder(await open(by, metasrv, "kept"), "kept/", 100);
    using withdrawn = new Holder(await open(by, metasrv, "withdrawn"), "withdrawn/", 20);
    using gone = new Holder(await open(by, metasrv, "gone"), "gone/", 20);
    await Promise.all([kept, withdrawn, gone].map((holder) => holder.holdsAll()));

    const calls = new Calls(await open(by, metasrv, "kept"), "kept/");

    for (let time = 1; time <= 10; time++) {
      await reload(metasrv, () => writeRights({ ...before, [`other-${time}`]: ["other/"] }), readAgain);
    }
    await reload(metasrv, () => writeRights(before, "}"), /was not read again/u);
    expect([kept, withdrawn, gone].map((holder) => holder.count("failed") + holder.count("lost"))).toEqual([0, 0, 0]);

    await reload(metasrv, () => writeRights({ kept: before.kept, withdrawn: [], watch: before.watch }), readAgain);
    const reloadedAtMs = performance.now();
    expect(await gone.ended).toMatchObject({
      rawMessage: expect.stringContaining('"gone" does not prove it any more'),
    });

    // Whoever waits for what they held gets it within one TTL.
    const next = await open(by, metasrv, "watch");
    const names = ["withdrawn/", "gone/"].flatMap((prefix) =>
      Array.from({ length: 20 }, (_, at) => `${prefix}${at + 1}`),
    );
    await Promise.all(names.map((name) => next.lock({ lock: { case: "name", value: name } })));
    const tookMs = performance.now() - reloadedAtMs;
    // Renewals that came just before count from then on; the rest is what a loaded machine takes.
    expect(tookMs).toBeLessThan(ttlMs + 2_000);
    // The news of the losses comes by another connection.
    await until(() => withdrawn.count("lost") === 20, { what: "20 losses" });

    await calls.more(100);
    await calls.stop();
    expect(kept.count("failed") + kept.count("lost")).toBe(0);
    expect(kept.count("renewed")).toBeGreaterThan(100);
    expect(await metasrv.stop()).toBe(0);

    const lines = (await readFile(audit, "utf8")).trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event }) => event).filter((event) => event === "reload")).toHaveLength(12);
    expect([events[0]?.event, events.at(-1)?.event]).toEqual(["start", "stop"]);
    expect(events).toContainEqual(
      expect.objectContaining({
        event: "denied",
        principal: "withdrawn",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/u),
        method: "metasrv.v1.LockService/Session",
        right: "lock",
        outcome: "denied",
      }),
    );
  },
  120_000,
);

test("the authority of clients is replaced and put back under load: who is connected loses nothing, new connections count by it", async () => {
  const before = { kept: ["kept/"], withdrawn: ["withdrawn/"], watch: ["withdrawn/"] };
  await writeRights(before);
  await using metasrv = await start("certificate");
  const connect = (principal: string, signs = authority) => open("certificate", metasrv, principal, signs);
  using kept = new Holder(await connect("kept"), "kept/", 100);
  using withdrawn = new Holder(await connect("withdrawn"), "withdrawn/", 20);
  await Promise.all([kept, withdrawn].map((holder) => holder.holdsAll()));
  const calls = new Calls(await connect("kept"), "kept/");
  const other = await createCertificateAuthority("another authority");
  const passes = async (signs: CertificateAuthority, name: string) => {
    const service = await connect("kept", signs);
    const { outcome } = await service.lock({ lock: { case: "name", value: name } });
    await service.unlock({ key: outcome.case === "granted" ? outcome.value.key : new Uint8Array() });
  };
  // By which HTTP/2 says that the connection is not secure enough; the text beside it does not reach a plain client.
  const refused = "Session closed with error code 12";

  for (const [trusted, strange] of [
    [other, authority],
    [authority, other],
  ] as const) {
    await reload(metasrv, () => writeFile(tls.clientCa, trusted.cert), newTls);
    await passes(trusted, "kept/new");
    // The name in a certificate counts whoever has signed it, and so do the rights.
    await expect(passes(trusted, "withdrawn/new")).rejects.toThrow("permission_denied");
    await expect(passes(strange, "kept/new")).rejects.toThrow(refused);
    await calls.more(100);
  }
  await metasrv.waitForLog(({ msg }) => msg === "a client was refused for its certificate");
  expect([kept, withdrawn].map((holder) => holder.count("failed") + holder.count("lost"))).toEqual([0, 0]);

  // Authority and rights at once: those who are connected have certificates of the authority before.
  const changes = () => Promise.all([writeFile(tls.clientCa, other.cert), writeRights({ ...before, withdrawn: [] })]);
  await reload(metasrv, changes, newTls, readAgain);
  const reloadedAtMs = performance.now();
  const next = await connect("watch", other);
  const names = Array.from({ length: 20 }, (_, at) => `withdrawn/${at + 1}`);
  await Promise.all(names.map((name) => next.lock({ lock: { case: "name", value: name } })));
  // Renewals that came just before count from then on; the rest is what a loaded machine takes.
  expect(performance.now() - reloadedAtMs).toBeLessThan(ttlMs + 2_000);
  await until(() => withdrawn.count("lost") === 20, { what: "20 losses" });
  await calls.more(100);
  await calls.stop();
  expect(kept.count("failed") + kept.count("lost")).toBe(0);
  expect(kept.count("renewed")).toBeGreaterThan(100);
  expect(await metasrv.stop()).toBe(0);
}, 120_000);

test("principals that are added to a server that has none take effect at its next start only", async () => {
  await writeFile(file, "{}");
  await using metasrv = await startMetasrv({ args: ["--config", file] });
  await reload(metasrv, () => writeRights({ late: ["a/"] }), /was not read again/u);
  using locks = new PlainLocks(metasrv.url);
  await locks.lock("open to everybody");
  expect(await rpcFailure(locks.unlock({ key: new Uint8Array() }))).toMatchObject({ code: "InvalidArgument" });
});

afterAll(leakCheck());

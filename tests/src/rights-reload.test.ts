import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { LockService, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import { leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import { PlainLocks, rpcFailure } from "./plain-locks.js";
import { PlainSession } from "./plain-session.js";
import { openRpcClient } from "./rpc-client.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const ttlMs = 2_000;

let folder: string;
let file: string;
let audit: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-rights-"));
  file = join(folder, "metasrv.yaml");
  audit = join(folder, "audit.jsonl");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What principals may lock, by their names, which are their tokens. */
async function writeRights(rights: Readonly<Record<string, readonly string[]>>, more = ""): Promise<void> {
  const principals = Object.keys(rights).map((name) => ({ name, tokenSha256: [sha256(name)] }));
  const roles = Object.fromEntries(
    Object.entries(rights).map(([name, prefixes]) => {
      return [name, prefixes.map((prefix) => ({ prefix, allow: ["lock", "inspect"] }))];
    }),
  );
  await writeFile(file, JSON.stringify({ auth: { principals, roles }, audit: { file: audit } }) + more);
}

let reloads = 0;

/** Has the file read again, and waits until its rights are in force, or not. */
async function reload(metasrv: Metasrv, msg: RegExp): Promise<void> {
  const seen = metasrv.logs.filter((line) => msg.test(String(line.msg))).length;
  await metasrv.kill("SIGHUP");
  const count = () => metasrv.logs.filter((line) => msg.test(String(line.msg))).length;
  await until(() => count() > seen, { what: `reload ${++reloads}`, timeoutMs: 20_000 });
}

const readAgain = /were read again/u;

/** One who holds many locks in a session and renews them over and over. */
class Holder implements Disposable {
  readonly events: SessionEvent[] = [];
  readonly #session: PlainSession;
  readonly #count: number;
  #number = 1_000_000;
  #over = false;
  readonly ended: Promise<unknown>;

  constructor(url: string, principal: string, prefix: string, count: number) {
    this.#count = count;
    const { transport } = openClient(url, principal);
    this.#session = new PlainSession(createClient(LockService, transport));
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

const clients: Disposable[] = [];

function openClient(url: string, principal: string) {
  const client = openRpcClient("connect", url, { token: principal });
  clients.push(client);
  return client;
}

afterAll(() => {
  for (const client of clients) {
    client[Symbol.dispose]();
  }
});

// Real time: several reloads, a TTL, and work in between, on a machine that may be busy.
test("rights that are read again take effect at once, and whoever keeps theirs loses nothing", async () => {
  const before = { kept: ["kept/"], withdrawn: ["withdrawn/"], gone: ["gone/"], watch: ["withdrawn/", "gone/"] };
  await writeRights(before);
  await using metasrv = await startMetasrv({ args: ["--config", file] });
  using kept = new Holder(metasrv.url, "kept", "kept/", 100);
  using withdrawn = new Holder(metasrv.url, "withdrawn", "withdrawn/", 20);
  using gone = new Holder(metasrv.url, "gone", "gone/", 20);
  await Promise.all([kept, withdrawn, gone].map((holder) => holder.holdsAll()));

  // Locks and unlocks by calls, all the time.
  let working = true;
  let rounds = 0;
  const calls = createClient(LockService, openClient(metasrv.url, "kept").transport);
  const workers = Array.from({ length: 8 }, async (_, worker) => {
    for (; working; rounds++) {
      const { outcome } = await calls.lock({ lock: { case: "name", value: `kept/worker/${worker}` } });
      await calls.unlock({ key: outcome.case === "granted" ? outcome.value.key : new Uint8Array() });
    }
  });

  for (let time = 1; time <= 10; time++) {
    await writeRights({ ...before, [`other-${time}`]: ["other/"] });
    await reload(metasrv, readAgain);
  }
  await writeRights(before, "}");
  await reload(metasrv, /was not read again/u);
  expect([kept, withdrawn, gone].map((holder) => holder.count("failed") + holder.count("lost"))).toEqual([0, 0, 0]);

  await writeRights({ kept: before.kept, withdrawn: [], watch: before.watch });
  await reload(metasrv, readAgain);
  const reloadedAtMs = performance.now();
  expect(await gone.ended).toMatchObject({ rawMessage: expect.stringContaining('"gone" does not prove it any more') });

  // Whoever waits for what they held gets it within one TTL.
  const next = createClient(LockService, openClient(metasrv.url, "watch").transport);
  const names = ["withdrawn/", "gone/"].flatMap((prefix) =>
    Array.from({ length: 20 }, (_, at) => `${prefix}${at + 1}`),
  );
  await Promise.all(names.map((name) => next.lock({ lock: { case: "name", value: name } })));
  const tookMs = performance.now() - reloadedAtMs;
  // Renewals that came just before count from then on; the rest is what a loaded machine takes.
  expect(tookMs).toBeLessThan(ttlMs + 2_000);
  // The news of the losses comes by another connection.
  await until(() => withdrawn.count("lost") === 20, { what: "20 losses" });

  const roundsThen = rounds;
  await until(() => rounds > roundsThen + 100, { what: "more work", timeoutMs: 20_000 });
  working = false;
  await Promise.all(workers);
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
}, 120_000);

test("principals that are added to a server that has none take effect at its next start only", async () => {
  await writeFile(file, "{}");
  await using metasrv = await startMetasrv({ args: ["--config", file] });
  await writeRights({ late: ["a/"] });
  await reload(metasrv, /was not read again/u);
  using locks = new PlainLocks(metasrv.url);
  await locks.lock("open to everybody");
  expect(await rpcFailure(locks.unlock({ key: new Uint8Array() }))).toMatchObject({ code: "InvalidArgument" });
});

afterAll(leakCheck());

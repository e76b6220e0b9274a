import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createCertificateAuthority, type FloodResult, leakCheck, runFlood, startMetasrv } from "@metasrv/testing";
import { Bystander } from "./bystander.js";
import { probe } from "./http-probe.js";

// How much more memory a server may have needed at any time than before: one that keeps all that it is sent needs a gigabyte.
// What is served needs a fifth of it, and twice as much where V8 cannot collect in time, as when all processors are busy.
const growthMb = 800;

// Who is beside a flood does something that often.
const paceMs = 20;

// How long a connection lasts at least that is no flood, but answers no pings: far longer than any machine needs.
const silentMs = 30_000;

// No flood takes as long on any machine; others give up sooner.
const timeoutMs = 120_000;

let folder: string;
let args: string[];
/**
 * What each flood was seen to do, to be printed as rows of the table in docs/security.md: how long others wait depends on the
 * machine, so nothing here is a limit.
 */
const figures: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-floods-"));
  const { cert, key } = await (await createCertificateAuthority()).issue({ hosts: ["127.0.0.1"] });
  await writeFile(join(folder, "cert.pem"), cert);
  await writeFile(join(folder, "key.pem"), key);
  args = ["cert", "key"].map((name) => `--tls-${name}=${join(folder, `${name}.pem`)}`);
  args.push("--tls-plaintext=loopback");
});

afterAll(async () => {
  console.log(figures.join("\n"));
  await rm(folder, { recursive: true });
});
afterAll(leakCheck());

/** Asks a server for /healthz and /readyz all the while. */
class Probing {
  longestMs = 0;
  readonly #url: string;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(url: string) {
    this.#url = url;
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      for (const path of ["/healthz", "/readyz"]) {
        const startedMs = performance.now();
        expect(await probe(this.#url + path)).toMatchObject({ status: 200 });
        this.longestMs = Math.max(this.longestMs, performance.now() - startedMs);
      }
      // The machine is the flood's and the server's.
      await sleep(paceMs);
    }
  }
}

/** The most memory that a process has needed so far. */
async function peakMbOf(pid: number): Promise<number> {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}

/** Floods a server of its own, and checks that it lives, that others are served meanwhile, and what it needs. */
async function flood(name: string): Promise<FloodResult> {
  await using node = await startMetasrv({ args });
  const bystander = new Bystander(node.url, paceMs);
  const probing = new Probing(node.url);
  await bystander.use(20);
  bystander.takeLongestMs();
  const beforeMb = await peakMbOf(node.pid);

  const result = await runFlood(name, node.address);
  await bystander.use(20);
  await probing.stop();
  await bystander.stop();

  const othersMs = Math.round(bystander.takeLongestMs());
  const probesMs = Math.round(probing.longestMs);
  const growsMb = (await peakMbOf(node.pid)) - beforeMb;
  const ended = result.endedMs === undefined ? "" : `${result.endedMs} ms`;
  figures.push(`| ${name} | ${ended} | ${othersMs} ms | ${probesMs} ms | ${growsMb} MB |`);
  expect(growsMb).toBeLessThan(growthMb);
  return result;
}

describe("a connection that brings frames which cost its client nothing is ended", () => {
  test.each([
    "PRIORITY",
    "PRIORITY of an open stream",
    "PRIORITY of a stream that is gone",
    "PING",
    "PING, and the answers are not read",
    "SETTINGS",
    "empty DATA",
    "empty DATA of a stream that is gone",
    "DATA with nothing but padding",
    "WINDOW_UPDATE",
    "frames of a type that is not known",
    "CONTINUATION",
  ])(
    "%s",
    async (name) => {
      expect((await flood(name)).endedMs).toBeLessThan(silentMs);
    },
    timeoutMs,
  );

  // No more is read, and the connection ends as one that does not answer pings.
  test.each(["headers without end", "calls that are cancelled at once"])(
    "%s",
    async (name) => {
      expect((await flood(name)).endedMs).toBeDefined();
    },
    timeoutMs,
  );
});

test("much that a session is sent without an answer is no flood", async () => {
  await using node = await startMetasrv();
  const session = connect(node.url);
  const stream = session.request({
    ":method": "POST",
    ":path": "/metasrv.v1.LockService/Session",
    "content-type": "application/connect+proto",
  });
  stream.resume();
  // Requests without a command. The connection is weighed every 2 s, and 4 MiB are a flood if they serve nothing.
  const requests = Buffer.alloc(5 * 200_000);
  const startedMs = performance.now();
  for (let written = 0; written < 16_000_000 || performance.now() - startedMs < 5_000; written += requests.length) {
    await new Promise((resolve) => stream.write(requests, resolve));
    await new Promise((resolve) => session.ping(resolve));
  }
  expect(session.destroyed || stream.destroyed).toBe(false);
  const closes = new Promise((resolve) => session.once("close", resolve));
  session.destroy();
  await closes;
}, 60_000);

describe("one connection with", () => {
  test(
    "10,000 watches has as many as it may, and the others learn why",
    async () => {
      const { answers, message } = await flood("10,000 watches");
      expect(answers).toEqual({ open: 1_000, 8: 9_000 });
      expect(message).toMatch(/1000 watches already.*another connection/);
    },
    timeoutMs,
  );

  test(
    "10,000 sessions has them",
    async () => {
      expect((await flood("10,000 sessions")).answers).toEqual({ open: 10_000 });
    },
    timeoutMs,
  );

  test(
    "10,900 waits has as many streams as it may, and the others learn why",
    async () => {
      const { answers, message } = await flood("10,900 waits");
      expect(answers).toEqual({ open: 1, 8: 900 });
      expect(message).toMatch(/10000 open streams already.*another connection/);
    },
    timeoutMs,
  );
});

describe("connections that say little:", () => {
  test(
    "of 10,000 unfinished TLS handshakes 2,000 stay at most, and a client's own is finished",
    async () => {
      const { open, handshakeMs } = await flood("10,000 unfinished TLS handshakes");
      expect(open).toBeLessThanOrEqual(2_000);
      expect(handshakeMs).toBeDefined();
    },
    timeoutMs,
  );

  test(
    "2,000 requests that come byte by byte are ended",
    async () => {
      expect((await flood("2,000 requests of a byte a second")).endedMs).toBeDefined();
    },
    timeoutMs,
  );
});

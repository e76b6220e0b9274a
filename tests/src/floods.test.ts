import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { createCertificateAuthority, leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { Bystander } from "./bystander.js";
import { probe } from "./http-probe.js";

// How long another client, or a probe, may have to wait while a flood goes on. A machine with a core to spare for the
// server takes a tenth of that; here the flood itself takes one.
const delayMs = 2_000;

// How much more memory a server may have needed at any time than before the first flood. One that keeps all that it is sent
// needs a gigabyte.
const growthMb = 500;

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

let folder: string;
let node: Metasrv;
let ca: string;
let bystander: Bystander;
let probing: Probing;
let baseMb: number;
/** After how long the connection of the flood was ended, if it was to be. */
let endedMs: number | undefined;
const figures: Record<string, unknown>[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-floods-"));
  const authority = await createCertificateAuthority();
  ca = authority.cert;
  const { cert, key } = await authority.issue({ hosts: ["127.0.0.1"] });
  await writeFile(join(folder, "cert.pem"), cert);
  await writeFile(join(folder, "key.pem"), key);
  const files = ["cert", "key"].map((name) => `--tls-${name}=${join(folder, `${name}.pem`)}`);
  node = await startMetasrv({ args: [...files, "--tls-plaintext=loopback"] });
  baseMb = await memoryMb("VmRSS");
});

beforeEach(async () => {
  bystander = new Bystander(node.url);
  await bystander.use(200);
  probing = new Probing();
  await probing.times(3);
  bystander.takeLongestMs();
  probing.longestMs = 0;
});

afterEach(async () => {
  await bystander.use(50);
  await probing.stop();
  const othersMs = Math.round(bystander.takeLongestMs());
  const peakMb = await memoryMb("VmHWM");
  figures.push({
    flood: expect.getState().currentTestName,
    endedMs,
    othersMs,
    probesMs: Math.round(probing.longestMs),
    baseMb,
    peakMb,
  });
  endedMs = undefined;
  await bystander.stop();
  expect(othersMs).toBeLessThan(delayMs);
  expect(probing.longestMs).toBeLessThan(delayMs);
  expect(peakMb - baseMb).toBeLessThan(growthMb);
});

afterAll(async () => {
  console.log(figures.map((figure) => JSON.stringify(figure)).join("\n"));
  await node[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
afterAll(leakCheck());

/** Asks for /healthz and /readyz all the while. */
class Probing {
  longestMs = 0;
  #count = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor() {
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  async times(count: number): Promise<void> {
    const enough = this.#count + count;
    while (this.#count < enough) {
      await probe(`${node.url}/healthz`);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      for (const path of ["/healthz", "/readyz"]) {
        const startedMs = performance.now();
        expect(await probe(node.url + path)).toMatchObject({ status: 200 });
        this.longestMs = Math.max(this.longestMs, performance.now() - startedMs);
      }
      this.#count++;
    }
  }
}

/** What the server needs now, or needed at most. */
async function memoryMb(field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${node.pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
}

function openHttp2(): ClientHttp2Session {
  const session = connectHttp2(node.url, { maxSessionMemory: 1_000 });
  session.on("error", () => undefined);
  return session;
}

async function openSocket(): Promise<Socket> {
  const socket = connect(Number(new URL(node.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

async function closed(session: ClientHttp2Session): Promise<void> {
  if (!session.closed || !session.destroyed) {
    const closes = new Promise((resolve) => session.once("close", resolve));
    session.destroy();
    await closes;
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

// In entries of the static table and literals: POST /metasrv.v1.LockService/Session, http, to "a".
const headers = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x01, 1, 97, 0x04, 31]),
  Buffer.from("/metasrv.v1.LockService/Session"),
  Buffer.from([0x0f, 0x10, 25]),
  Buffer.from("application/connect+proto"),
]);

/** Writes frames until the server ends the connection. */
async function floodUntilEnded(begin: Buffer, one: Buffer, reads: boolean): Promise<void> {
  const chunk = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(65_536 / one.length)) }, () => one));
  const socket = await openSocket();
  if (!reads) {
    socket.pause();
  }
  // An error comes first, which is not awaited.
  const closes = new Promise((resolve) => socket.once("close", resolve));
  const startedMs = performance.now();
  socket.write(Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), begin]));
  const write = (): void => {
    socket.write(chunk, (error) => {
      if (error == null) {
        write();
      }
    });
  };
  write();
  await closes;
  endedMs = Math.round(performance.now() - startedMs);
}

describe("a connection that brings frames which cost nothing to send is ended", () => {
  const nothing = Buffer.alloc(0);
  const session = frame(1, 4, 1, headers);
  const reset = frame(3, 0, 1, Buffer.from([0, 0, 0, 8]));
  const priority = frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 9]));
  const emptyData = frame(0, 0, 1, nothing);
  const cases: [string, Buffer, Buffer][] = [
    ["PRIORITY", nothing, priority],
    ["PRIORITY of an open stream", session, priority],
    ["PRIORITY of a stream that is gone", Buffer.concat([session, reset]), priority],
    ["PING", nothing, frame(6, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", nothing, frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 1, 0]))],
    ["empty DATA", session, emptyData],
    ["empty DATA of a stream that is gone", Buffer.concat([session, reset]), emptyData],
    ["DATA with nothing but padding", session, frame(0, 8, 1, Buffer.from([0]))],
    ["WINDOW_UPDATE", nothing, frame(8, 0, 0, Buffer.from([0, 0, 0, 1]))],
    ["a type that is not known", nothing, frame(0x42, 0, 0, nothing)],
    ["CONTINUATION", frame(1, 0, 1, headers), frame(9, 0, 1, Buffer.from([0x86]))],
  ];
  test.each(cases)(
    "%s",
    async (_, begin, one) => {
      await floodUntilEnded(begin, one, true);
    },
    30_000,
  );

  test("PING by a client that reads nothing", async () => {
    await floodUntilEnded(nothing, frame(6, 0, 0, Buffer.alloc(8)), false);
  }, 30_000);

  test("headers without end: no more is read, and the connection ends as one that does not answer", async () => {
    const literal = Buffer.concat([Buffer.from([0, 1, 97, 0x7f, 0x81, 0x7d]), Buffer.alloc(16_000, 97)]);
    await floodUntilEnded(nothing, frame(1, 0, 1, literal), true);
  }, 60_000);
});

test("much that a session is sent without an answer is no flood", async () => {
  const session = openHttp2();
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
  await closed(session);
}, 60_000);

describe("calls without end", () => {
  test("rapid reset: calls that are cancelled at once", async () => {
    const socket = await openSocket();
    const closes = new Promise((resolve) => socket.once("close", resolve));
    const startedMs = performance.now();
    socket.write(Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0))]));
    for (let stream = 1; !socket.closed && socket.writable;) {
      const calls: Buffer[] = [];
      for (; calls.length < 500; stream += 2) {
        calls.push(frame(1, 4, stream, headers), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])));
      }
      await Promise.race([closes, new Promise((resolve) => socket.write(Buffer.concat(calls), resolve))]);
    }
    await closes;
    endedMs = Math.round(performance.now() - startedMs);
  }, 60_000);
});

describe("connections without end", () => {
  test("10,000 TLS handshakes that are not finished: a client's own is not kept waiting", async () => {
    const hello = await clientHello();
    const sockets: Socket[] = [];
    while (sockets.length < 10_000) {
      const opened = await Promise.all(Array.from({ length: 250 }, openSocket));
      for (const socket of opened) {
        socket.write(hello);
      }
      sockets.push(...opened);
    }
    const startedMs = performance.now();
    const socket = connectTls({ port: Number(new URL(node.url).port), host: "127.0.0.1", ca });
    await once(socket, "secureConnect");
    expect(performance.now() - startedMs).toBeLessThan(delayMs);
    socket.destroy();
    const open = sockets.filter(({ closed }) => !closed);
    expect(open.length).toBeLessThan(2_500);
    const closes = open.map((each) => once(each, "close"));
    for (const each of sockets) {
      each.destroy();
    }
    await Promise.all(closes);
  }, 60_000);

  test("slowloris: 2,000 requests that come a byte a second", async () => {
    const sockets = await Promise.all(Array.from({ length: 2_000 }, openSocket));
    for (const socket of sockets) {
      socket.write("GET / HTTP/1.1\r\nhost: a\r\nx-");
    }
    for (let second = 0; second < 2; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      for (const socket of sockets) {
        socket.write("a");
      }
    }
    const closes = sockets.filter(({ closed }) => !closed).map((each) => once(each, "close"));
    for (const each of sockets) {
      each.destroy();
    }
    await Promise.all(closes);
  });
});

/** The first bytes of a handshake, as a real client sends them. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const address = server.address();
  const client = connectTls({ port: typeof address === "object" ? (address?.port ?? 0) : 0, host: "127.0.0.1" });
  client.on("error", () => undefined);
  const [socket] = await accepted;
  const [hello] = (await once(socket, "data")) as [Buffer];
  const closes = [once(client, "close"), once(server, "close")];
  socket.destroy();
  client.destroy();
  server.close();
  await Promise.all(closes);
  return hello;
}

import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
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

const empty = Buffer.alloc(5);
const grpc = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

let folder: string;
let node: Metasrv;
let ca: string;
let bystander: Bystander;
let probing: Probing;
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
  const memoryMb = await residentMb();
  figures.push({
    flood: expect.getState().currentTestName,
    othersMs,
    probesMs: Math.round(probing.longestMs),
    memoryMb,
  });
  await bystander.stop();
  expect(othersMs).toBeLessThan(delayMs);
  expect(probing.longestMs).toBeLessThan(delayMs);
  // One who may keep what they send would have the server at a gigabyte.
  expect(memoryMb).toBeLessThan(600);
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

async function residentMb(): Promise<number> {
  const status = await readFile(`/proc/${node.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
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
    const closes = once(session, "close");
    session.destroy();
    await closes;
  }
}

/** Opens a stream with a message; resolves with its first headers or its error. */
function open(session: ClientHttp2Session, path: string, message: Buffer): Promise<IncomingHttpHeaders> {
  const stream = session.request({ ...grpc, ":path": path });
  stream.on("error", () => undefined);
  stream.end(message);
  stream.resume();
  return new Promise((resolve) => {
    stream.once("response", resolve);
    stream.once("close", () => {
      resolve({});
    });
  });
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Writes frames until the server ends the connection, or reads it no more, after which it ends it as a dead one. */
async function floodUntilEnded(begin: Buffer, chunk: Buffer): Promise<void> {
  const socket = await openSocket();
  socket.write(Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), begin]));
  let taken = 0;
  const write = (): void => {
    socket.write(chunk, (error) => {
      if (error == null) {
        taken++;
        write();
      }
    });
  };
  write();
  let before = -1;
  while (!socket.closed && taken > before) {
    before = taken;
    await Promise.race([once(socket, "close"), new Promise((resolve) => setTimeout(resolve, 2_000))]);
  }
  expect(taken * chunk.length).toBeLessThan(64_000_000);
  if (!socket.closed) {
    const closes = once(socket, "close");
    socket.destroy();
    await closes;
  }
}

describe("frames that cost nothing to send are read no more", () => {
  const priority = frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 9]));
  // POST / in static entries of the table, with END_HEADERS.
  const headers = frame(1, 4, 1, Buffer.from([0x83, 0x84, 0x86]));
  const cases: [string, Buffer, Buffer][] = [
    ["PRIORITY", Buffer.alloc(0), priority],
    ["PRIORITY of an open stream", headers, priority],
    ["PING", Buffer.alloc(0), frame(6, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", Buffer.alloc(0), frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 1, 0]))],
    ["empty DATA", headers, frame(0, 0, 1, Buffer.alloc(0))],
    ["CONTINUATION", frame(1, 0, 1, Buffer.from([0x83, 0x84, 0x86])), frame(9, 0, 1, Buffer.from([0x86]))],
    [
      "headers without end",
      Buffer.alloc(0),
      frame(1, 0, 1, Buffer.concat([Buffer.from([0, 1, 97, 0x7f, 0x81, 0x7d]), Buffer.alloc(16_000, 97)])),
    ],
  ];
  test.each(cases)("%s", async (_, begin, one) => {
    const copies = Math.max(1, Math.floor(65_536 / one.length));
    await floodUntilEnded(begin, Buffer.concat(Array.from({ length: copies }, () => one)));
  });
});

describe("streams without end", () => {
  test("10,000 watches on one connection: as many as it may, and the others learn why", async () => {
    const session = openHttp2();
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, () => open(session, "/grpc.health.v1.Health/Watch", empty)),
    );
    const refused = answers.filter(({ "grpc-status": status }) => status === "8");
    expect(refused).toHaveLength(9_000);
    expect(decodeURIComponent(String(refused[0]?.["grpc-message"]))).toMatch(
      /1000 watches already.*another connection/,
    );
    await closed(session);
  }, 60_000);

  test("11,000 waits on one connection: as many as it may, and the others learn why", async () => {
    const session = openHttp2();
    await once(session, "remoteSettings");
    // A request for the lock "a", which one of them holds meanwhile.
    const message = Buffer.from([0, 0, 0, 0, 3, 10, 1, 97]);
    const answers = Array.from({ length: 10_500 }, () => open(session, "/metasrv.v1.LockService/Lock", message));
    const refusals = answers.slice(10_000);
    for (const { "grpc-status": status, "grpc-message": text } of await Promise.all(refusals)) {
      expect(status).toBe("8");
      expect(decodeURIComponent(String(text))).toMatch(/open streams already|may wait|wait for/);
    }
    await closed(session);
    await Promise.all(answers);
  }, 60_000);

  test("rapid reset: 30,000 calls that are cancelled at once", async () => {
    const session = openHttp2();
    await once(session, "remoteSettings");
    for (let n = 0; n < 30_000 && !session.destroyed && !session.closed; n++) {
      const stream = session.request({ ...grpc, ":path": "/metasrv.v1.LockService/Lock" });
      stream.on("error", () => undefined);
      stream.close(8);
      if (n % 500 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await closed(session);
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

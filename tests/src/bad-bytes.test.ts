import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { PlainLocks } from "./plain-locks.js";

const lockPath = "/metasrv.v1.LockService/Lock";

const frameType = { headers: 1, rstStream: 3, settings: 4, ping: 6, goaway: 7 } as const;

let node: Metasrv;

beforeAll(async () => {
  node = await startMetasrv();
});

afterEach(async () => {
  using locks = new PlainLocks(node.url);
  await locks.unlock(await locks.lock("still serving"));
});

describe("HTTP that is no call of a service", () => {
  test.each(["/metasrv.v1.LockService/Nope", "/metasrv.v1.Nope/Lock", "/nope", `${lockPath}/`])(
    "POST %s: not found, and what there is",
    async (path) => {
      const { status, body } = await post(path, "{}");
      expect(status).toBe(404);
      expect(body).toContain(lockPath);
      expect(body).toContain("/greptime.v1.meta.Lock/Lock");
    },
  );

  test("an unknown method by gRPC is answered with 404 too, which gRPC calls UNIMPLEMENTED", async () => {
    const session = connectHttp2(node.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/metasrv.v1.LockService/Nope",
      "content-type": "application/grpc",
    });
    stream.end();
    const [headers] = (await once(stream, "response")) as [{ ":status": number }];
    expect(headers[":status"]).toBe(404);
    expect(await text(stream)).toContain(lockPath);
    session.close();
    await once(session, "close");
  });

  test("malformed JSON: invalid argument", async () => {
    const { status, body } = await post(lockPath, "{");
    expect(status).toBe(400);
    expect(body).toContain("invalid_argument");
  });

  test("JSON of another shape: invalid argument, naming the field", async () => {
    const { status, body } = await post(lockPath, JSON.stringify({ name: 7 }));
    expect(status).toBe(400);
    expect(body).toContain("LockRequest.name");
  });

  test("a content type of nobody: unsupported", async () => {
    const { status } = await post(lockPath, "{}", "text/plain");
    expect(status).toBe(415);
  });
});

describe("a call that is over as soon as it comes, in the same packet", () => {
  const canceled = 8;
  const ends: [string, Buffer][] = [
    ["reset", frame(frameType.rstStream, 0, 1, words(canceled))],
    ["its connection going away", frame(frameType.goaway, 0, 0, words(0, canceled))],
  ];
  const calls: [string, string][] = [
    ["/metasrv.v1.LockService/Session", "application/connect+proto"],
    ["/metasrv.v1.LockService/Session", "application/grpc"],
    [lockPath, "application/grpc"],
    [lockPath, "application/json"],
  ];
  test.each(ends.flatMap(([how, end]) => calls.map(([path, type]) => [how, path, type, end] as const)))(
    "%s: %s as %s",
    async (_, path, type, end) => {
      const endHeaders = 4;
      const headers = headerBlock({
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "a",
        "content-type": type,
        te: "trailers",
      });
      const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      const settings = frame(frameType.settings, 0, 0, Buffer.alloc(0));
      const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8));
      const socket = connect(Number(new URL(node.url).port), "127.0.0.1");
      socket.on("error", () => undefined);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(Buffer.concat([preface, settings, frame(frameType.headers, endHeaders, 1, headers), end, ping]));
      // When the ping is answered, or the connection has ended, everything before the ping has been read.
      await Promise.race([answerToPing(socket), closed]);
      socket.destroy();
      await closed;
    },
  );
});

describe("bytes that are not HTTP", () => {
  test.each([
    ["random bytes", randomBytes(1_000)],
    ["a TLS handshake", Buffer.from("16030100c8010000c40303", "hex")],
    ["half an HTTP/2 preface and then something else", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
    [
      "an HTTP/2 preface and then garbage",
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), randomBytes(500)]),
    ],
    ["a NUL", Buffer.of(0)],
  ])("%s: the connection ends, and nothing else happens", async (_, bytes) => {
    const socket = connect(Number(new URL(node.url).port), "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => undefined);
    socket.resume();
    // The client ends the connection after its bytes. So it also ends where the server would go on waiting for more.
    socket.end(bytes);
    await once(socket, "close");
  });

  test("a connection on which nothing is ever said does not disturb others", async () => {
    const socket = connect(Number(new URL(node.url).port), "127.0.0.1");
    await once(socket, "connect");
    using locks = new PlainLocks(node.url);
    await locks.unlock(await locks.lock("a"));
    socket.destroy();
    await once(socket, "close");
  });
});

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

/** The headers in HPACK's format, each as a literal that is not added to the table. */
function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const literal = (text: string): Buffer => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  const fields = Object.entries(headers).map(([name, value]) => [Buffer.of(0), literal(name), literal(value)]);
  return Buffer.concat(fields.flat());
}

async function answerToPing(socket: Socket): Promise<void> {
  const answer = frame(frameType.ping, 1, 0, Buffer.alloc(8));
  let read = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    read = Buffer.concat([read, chunk as Buffer]);
    if (read.includes(answer)) {
      return;
    }
  }
}

async function post(path: string, body: string, contentType = "application/json") {
  const request = httpRequest(new URL(path, node.url), {
    method: "POST",
    agent: false,
    headers: { "content-type": contentType },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
  return { status: response.statusCode, body: await text(response) };
}

afterAll(async () => {
  await node[Symbol.asyncDispose]();
});
afterAll(leakCheck());

import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { SessionRequestSchema } from "@metasrv/proto/metasrv/v1";
import { HeapProbe, leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import fc from "fast-check";
import { Bystander } from "./bystander.js";

const sessionPath = "/metasrv.v1.LockService/Session";
const lockPath = "/metasrv.v1.LockService/Lock";
const grpc = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const settingsFrame = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

// How much the heap may grow, after a collection. Compiled code and caches need far less; if something were kept for
// each hostile frame or connection, it would need far more.
const roomBytes = 8_000_000;

let probe: HeapProbe;
let node: Metasrv;
let before: number;
let bystander: Bystander;

beforeAll(async () => {
  probe = await HeapProbe.create();
  node = await startMetasrv({ env: probe.env, args: ["--session-timeout-ms=2000", "--heartbeat-ms=500"] });
});

beforeEach(async () => {
  bystander = new Bystander(node.url);
  await bystander.use(1_000);
  before = await probe.bytesInUse();
});

afterEach(async () => {
  await bystander.stop();
  await until(async () => (await probe.bytesInUse()) - before < roomBytes, {
    what: "memory back where it was",
  });
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await probe[Symbol.asyncDispose]();
});
afterAll(leakCheck());

function openSocket(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(node.url).port), "127.0.0.1", () => {
      socket.removeListener("error", reject);
      socket.on("error", () => undefined);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function openHttp2(): ClientHttp2Session {
  const session = connectHttp2(node.url);
  session.on("error", () => undefined);
  return session;
}

/** Resolves once the stream can be written to again, or has closed, with or without an error. */
function writable(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off("drain", settle).off("close", settle);
      resolve();
    };
    stream.on("drain", settle).on("close", settle);
  });
}

async function closed(session: ClientHttp2Session): Promise<void> {
  if (!session.destroyed) {
    const closes = once(session, "close");
    session.destroy();
    await closes;
  }
}

/** One frame of HTTP/2, whose parts need not fit together. */
const anyFrame = fc
  .record({
    payload: fc.uint8Array({ maxLength: 300 }),
    claimedLength: fc.option(fc.nat(70_000), { freq: 10 }),
    type: fc.oneof({ weight: 9, arbitrary: fc.nat(10) }, fc.nat(255)),
    flags: fc.constantFrom(0, 1, 4, 5, 8, 0x24, 0xff),
    stream: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 1, 2, 3) }, fc.nat(2 ** 31 - 1)),
  })
  .map(({ payload, claimedLength, type, flags, stream }) => {
    const header = Buffer.alloc(9);
    header.writeUIntBE(claimedLength ?? payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    return Buffer.concat([header, payload]);
  });

const anyNumber = fc.oneof(fc.nat(3), fc.nat(2 ** 31));
const anyKey = fc.uint8Array({ maxLength: 60 });
const anyTime = fc.constantFrom(0n, -1n, 10n, 1_000n, 2n ** 62n);

/** A message of a session, with its prefix: well-formed, or damaged. */
const anyMessage = fc
  .record({
    commands: fc.array(
      fc.record({
        number: anyNumber,
        command: fc.oneof(
          fc
            .record({
              name: fc.uint8Array({ maxLength: 40 }),
              ticketId: fc.oneof(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ maxLength: 20 })),
              ttlMs: anyTime,
              waitMs: anyTime,
              attempt: fc.nat(3),
            })
            .map(({ name, ...rest }) => ({
              case: "lock" as const,
              value: { lock: { case: "nameBytes" as const, value: name }, ...rest },
            })),
          fc.record({ lock: anyNumber, key: anyKey }).map((value) => ({ case: "unlock" as const, value })),
          fc
            .record({ lock: anyNumber, key: anyKey, ttlMs: anyTime })
            .map((value) => ({ case: "renew" as const, value })),
          anyNumber.map((value) => ({ case: "cancel" as const, value })),
          fc.constant({ case: undefined }),
        ),
      }),
      { maxLength: 5 },
    ),
    damage: fc.option(fc.record({ at: fc.nat(1_000), byte: fc.nat(255) }), { freq: 3 }),
    flags: fc.oneof({ weight: 50, arbitrary: fc.constant(0) }, fc.nat(255)),
    claimedLength: fc.option(fc.nat(2 ** 31), { freq: 50 }),
  })
  .map(({ commands, damage, flags, claimedLength }) => {
    const content = Buffer.from(toBinary(SessionRequestSchema, create(SessionRequestSchema, { commands })));
    if (damage !== null && content.length > 0) {
      content.writeUInt8(damage.byte, damage.at % content.length);
    }
    return envelope(content, flags, claimedLength ?? undefined);
  });

/** Draws values by a seed. It prints the seed, so that the values can be drawn again: SEED=… */
function draw<Value>(values: fc.Arbitrary<Value>, count: number): Value[] {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  console.log(`SEED=${seed}`);
  return fc.sample(values, { numRuns: count, seed });
}

function envelope(content: Uint8Array, flags = 0, length = content.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, content]);
}

describe("a client that sends what it should not", () => {
  test("50,000 frames of HTTP/2 without rhyme or reason", async () => {
    const frames = draw(anyFrame, 50_000);
    const sockets: Socket[] = [];
    for (let start = 0; start < frames.length; start += 50) {
      const socket = await openSocket();
      sockets.push(socket);
      socket.end(Buffer.concat([preface, settingsFrame, ...frames.slice(start, start + 50)]));
      await once(socket, "data");
      socket.resume();
    }
    await bystander.use(100);
    // The server ends all connections, though some of them only because nothing answers its pings.
    await Promise.all(sockets.filter((socket) => !socket.closed).map((socket) => once(socket, "close")));
  }, 60_000);

  test("50,000 damaged messages on sessions", async () => {
    const session = openHttp2();
    let stream: ClientHttp2Stream | undefined;
    for (const [index, message] of draw(anyMessage, 50_000).entries()) {
      // Most streams end with the first message that cannot be read. The next message then goes to a new stream.
      if (stream === undefined || stream.closed || index % 200 === 0) {
        stream?.end();
        stream = session.request({ ...grpc, ":path": sessionPath });
        stream.on("error", () => undefined);
        stream.resume();
      }
      stream.write(message);
      if (index % 5 === 4) {
        await turn();
      }
    }
    await closed(session);
    await bystander.use(100);
  });

  test("messages of 64 MiB", async () => {
    const session = openHttp2();
    const chunk = Buffer.alloc(1024 * 1024);
    for (const path of [sessionPath, lockPath, "/greptime.v1.meta.Lock/Lock"]) {
      const stream = session.request({ ...grpc, ":path": path });
      stream.on("error", () => undefined);
      let status: unknown;
      const note = (headers: Readonly<Record<string, unknown>>): void => {
        status ??= headers["grpc-status"];
      };
      stream.on("response", note);
      stream.on("trailers", note);
      stream.resume();
      stream.write(envelope(new Uint8Array(), 0, 64 * chunk.length));
      for (let n = 0; n < 64 && !stream.closed; n++) {
        if (!stream.write(chunk)) {
          await writable(stream);
        }
      }
      if (!stream.closed) {
        await once(stream, "close");
      }
      expect(status).toBe("8");
    }
    await closed(session);
    await bystander.use(100);
  });
});

describe("a client that is slow", () => {
  test("to write: half requests on 200 connections", async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, openSocket));
    for (const [index, socket] of sockets.entries()) {
      socket.write(
        index % 2 === 0
          ? `POST ${lockPath} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"na`
          : Buffer.concat([preface, settingsFrame, Buffer.from([0, 0, 9])]),
      );
    }
    await bystander.use(1_000);
    for (const socket of sockets) {
      socket.destroy();
    }
  });

  test("to read: what it asks for without reading is bounded, and it is let go of", async () => {
    const session = openHttp2();
    // The stream is paused, so Node reads nothing of it and does not grant the server more than the first window.
    const stream = session.request({ ...grpc, ":path": sessionPath });
    stream.on("error", () => undefined);
    stream.pause();
    let number = 0;
    const message = (): Buffer => {
      const commands = Array.from({ length: 100 }, () => ({
        number: ++number,
        command: {
          case: "lock" as const,
          value: {
            lock: { case: "nameBytes" as const, value: new Uint8Array() },
            ticketId: new Uint8Array(16),
          },
        },
      }));
      return envelope(toBinary(SessionRequestSchema, create(SessionRequestSchema, { commands })));
    };
    while (!stream.closed) {
      if (stream.write(message())) {
        await turn();
      } else {
        await writable(stream);
      }
    }
    await closed(session);
    await bystander.use(100);
  });
});

test("5,000 connections that are idle", async () => {
  const sockets: Socket[] = [];
  while (sockets.length < 5_000) {
    sockets.push(...(await Promise.all(Array.from({ length: 250 }, openSocket))));
  }
  for (const [index, socket] of sockets.entries()) {
    // One third of the connections say nothing, one third have begun HTTP/2, and one third have made a request that
    // waits.
    if (index % 3 === 1) {
      socket.write(Buffer.concat([preface, settingsFrame]));
    } else if (index % 3 === 2) {
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
  }
  await bystander.use(1_000);
  const closes = sockets.filter(({ closed: gone }) => !gone).map((socket) => once(socket, "close"));
  for (const socket of sockets) {
    socket.destroy();
  }
  await Promise.all(closes);
});

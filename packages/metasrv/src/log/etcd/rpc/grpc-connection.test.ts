import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createMuteServer, type Socket } from "node:net";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { enveloped, systemClock } from "@metasrv/wire";
import { answer, Far } from "../../../../test-support/grpc-far.js";
import { GrpcConnection } from "./grpc-connection.js";

const echo = (stream: ServerHttp2Stream) => {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    // It ends also when it was answered already, or its connection breaks.
    if (!stream.headersSent && !stream.destroyed) {
      answer(stream, chunks, { "grpc-status": "0" });
    }
  });
};

const path = "/test.Service/Call";
const message = Buffer.from("what was asked");

let far: Far;
let other: Far;
let connection: GrpcConnection;

beforeEach(async () => {
  far = await Far.start();
  other = await Far.start();
  connection = new GrpcConnection({ hosts: [far.host], clock: systemClock, sessions: 4 });
});

afterEach(async () => {
  connection.close();
  await far[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

afterAll(leakCheck());

describe("a call", () => {
  test.each([0, 14, 100_000, 1_000_000])("carries a message of %d bytes each way", async (length) => {
    far.answer = echo;
    const long = Buffer.alloc(length, 7);
    expect((await connection.unary(path, long, 5_000)).equals(long)).toBe(true);
  });

  test("takes a message that comes byte by byte", async () => {
    far.answer = (stream) => {
      const bytes = [...enveloped(message)].map((byte) => Buffer.of(byte));
      answer(stream, bytes, { "grpc-status": "0" });
    };
    expect(String(await connection.unary(path, message, 5_000))).toBe(String(message));
  });

  test("that is alone does not make another session", async () => {
    far.answer = echo;
    for (let round = 0; round < 20; round++) {
      await connection.unary(path, message, 5_000);
    }
    // A stream closes some turns after its answer was read; the next call does not wait for that.
    expect(far.connections).toBeLessThanOrEqual(2);
  });

  test("has a session of its own, for the first four at once", async () => {
    const streams: ServerHttp2Stream[] = [];
    let onSixth: () => void = () => undefined;
    const sixth = new Promise<void>((resolve) => (onSixth = resolve));
    far.answer = (stream) => {
      if (streams.push(stream) === 6) {
        onSixth();
      }
    };
    const calls = Array.from({ length: 6 }, () => connection.unary(path, message, 5_000));
    await sixth;
    const sessions = [...new Set(streams.map(({ session }) => session))];
    const streamsOf = sessions.map((one) => streams.filter(({ session }) => session === one).length);
    expect(streamsOf.sort()).toEqual([1, 1, 2, 2]);
    streams.forEach(echo);
    expect((await Promise.all(calls)).map(String)).toEqual(calls.map(() => String(message)));
  });

  test("rejects with the status that its trailers say, and keeps the connection", async () => {
    far.answer = (stream) => {
      answer(stream, [], { "grpc-status": "8", "grpc-message": "etcdserver: mvcc: database space exceeded 100%25" });
    };
    const refused = "8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded 100%";
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow(refused);
    far.answer = echo;
    await connection.unary(path, message, 5_000);
    expect(far.calls).toBe(2);
  });

  test("rejects with a status that comes without a message", async () => {
    far.answer = (stream) => {
      stream.respond({ ":status": 200, "grpc-status": "3", "grpc-message": "no" }, { endStream: true });
    };
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow("3 INVALID_ARGUMENT: no");
  });

  test("rejects what is no answer of gRPC", async () => {
    far.answer = (stream) => {
      stream.respond({ ":status": 404 }, { endStream: true });
    };
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow(
      "14 UNAVAILABLE: answered with HTTP status 404",
    );
    far.answer = (stream) => {
      answer(stream, [], { "grpc-status": "0" });
    };
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow("2 UNKNOWN: no message");
  });
});

describe("servers that fail", () => {
  const started = (hosts: readonly string[]) => {
    connection.close();
    connection = new GrpcConnection({ hosts, clock: systemClock, sessions: 4 });
  };

  test("a call without an answer in time rejects, and the next goes elsewhere", async () => {
    started([far.host, other.host]);
    other.answer = echo;
    // Which of them comes first is random.
    const [first] = await Promise.allSettled([connection.unary(path, message, 50)]);
    if (far.calls === 1) {
      expect(first).toMatchObject({ reason: { message: "4 DEADLINE_EXCEEDED: no answer within 50 ms" } });
    }
    await connection.unary(path, message, 5_000);
    expect(other.calls).toBe(far.calls === 1 ? 1 : 2);
  });

  test("a call or a stream ends in time, also when there is no connection yet", async () => {
    // Takes connections, and leaves it at that.
    const sockets: Socket[] = [];
    const mute = createMuteServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    try {
      await once(mute, "listening");
      started([`https://127.0.0.1:${(mute.address() as AddressInfo).port}`]);
      await expect(connection.unary(path, message, 50)).rejects.toThrow("no answer within 50 ms");
      await new Promise((resolve) => {
        connection.stream(path, { message: () => undefined, closed: resolve }).cancel();
      });
    } finally {
      for (const socket of sockets) {
        socket.destroy();
      }
      mute.close();
    }
  });

  test("that is given up before there is a connection does no harm when there is one, which is ended", async () => {
    const mute = createMuteServer().listen(0, "127.0.0.1");
    await once(mute, "listening");
    started([`127.0.0.1:${(mute.address() as AddressInfo).port}`]);
    const connected = once(mute, "connection");
    connection.stream(path, { message: () => undefined, closed: () => undefined }).cancel();
    const [socket] = (await connected) as [Socket];
    await once(socket.resume(), "close");
    mute.close();
    await once(mute, "close");
  });

  test("a refused connection rejects, and the next call goes elsewhere", async () => {
    const gone = await Far.start();
    const { host } = gone;
    await gone[Symbol.asyncDispose]();
    started([host, far.host]);
    far.answer = echo;
    const outcomes = [];
    for (let call = 0; call < 2; call++) {
      outcomes.push(...(await Promise.allSettled([connection.unary(path, message, 5_000)])));
    }
    expect(outcomes.at(-1)?.status).toBe("fulfilled");
    expect(outcomes[0]).toMatchObject(
      far.calls === 2 ? { status: "fulfilled" } : { reason: { message: expect.stringContaining("14 UNAVAILABLE") } },
    );
  });

  test("a connection that breaks rejects its calls, and the next call makes another", async () => {
    far.answer = (stream) => {
      stream.session?.destroy();
    };
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow("14 UNAVAILABLE");
    far.answer = echo;
    await connection.unary(path, message, 5_000);
  });

  test("may be closed by what the end of a call brings about", async () => {
    far.answer = echo;
    // Node 20 does not live through 50 of them if the connection is destroyed in that callback.
    for (let round = 0; round < 300; round++) {
      started([far.host]);
      await connection.unary(path, message, 5_000);
    }
    expect(far.calls).toBe(300);
  });

  test("closing rejects what is under way, and what is asked for from then on", async () => {
    const asked = new Promise((resolve) => (far.answer = resolve));
    const call = connection.unary(path, message, 5_000);
    await asked;
    connection.close();
    await expect(call).rejects.toThrow("14 UNAVAILABLE");
    await expect(connection.unary(path, message, 5_000)).rejects.toThrow("14 UNAVAILABLE: the connection was closed");
  });
});

describe("a stream", () => {
  /** Opens one, and gathers what comes. */
  const open = () => {
    const messages: string[] = [];
    let onMessage: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => (onMessage = resolve));
    let onClosed: (error: Error | undefined) => void = () => undefined;
    const closed = new Promise<Error | undefined>((resolve) => (onClosed = resolve));
    const stream = connection.stream(path, {
      message: (bytes) => {
        messages.push(String(bytes));
        onMessage();
      },
      closed: onClosed,
    });
    return { stream, messages, arrived, closed };
  };

  test("carries messages both ways, and says when it ended well", async () => {
    far.answer = echo;
    const { stream, messages, arrived, closed } = open();
    far.answer = (arriving) => {
      arriving.once("data", (chunk: Buffer) => {
        answer(arriving, [chunk, chunk], { "grpc-status": "0" });
      });
    };
    stream.write(message);
    await arrived;
    expect(await closed).toBeUndefined();
    expect(messages).toEqual([String(message), String(message)]);
  });

  test("says with what error it ended, and when it was cancelled", async () => {
    far.answer = (arriving) => {
      answer(arriving, [], { "grpc-status": "11", "grpc-message": "too far" });
    };
    expect((await open().closed)?.message).toBe("11 OUT_OF_RANGE: too far");
    far.answer = () => undefined;
    const { stream, closed } = open();
    stream.cancel();
    stream.cancel();
    expect((await closed)?.message).toContain("14 UNAVAILABLE");
  });
});

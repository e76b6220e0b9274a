import { type ClientHttp2Stream, constants } from "node:http2";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  ErrorDetailSchema,
  LockService,
  Reason,
  type SessionCommandSchema,
  type SessionEvent,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import { pino } from "pino";
import { envelope, type RawAnswer, rawRequest, Served, type ServedOptions } from "../../test-support/served.js";

type Command = MessageInitShape<typeof SessionCommandSchema>;

/** What a client writes into, and what it reads. */
class Stream {
  readonly #queue: SessionRequest[] = [];
  readonly #abort = new AbortController();
  readonly #responses: AsyncIterator<SessionResponse>;
  readonly #unread: SessionEvent[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(client: Client<typeof LockService>) {
    this.#responses = client.session(this.#requests(), { signal: this.#abort.signal })[Symbol.asyncIterator]();
  }

  send(...commands: Command[]): void {
    this.#queue.push(create(SessionRequestSchema, { commands }));
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  abort(): void {
    this.#abort.abort();
  }

  /** The next message that is more than a heartbeat; none at the end of the stream. */
  async message(): Promise<SessionResponse | undefined> {
    for (;;) {
      const next = await this.#responses.next();
      if (next.done === true) {
        return undefined;
      }
      const { events, terms, draining } = next.value;
      if (events.length > 0 || terms !== undefined || draining) {
        return next.value;
      }
    }
  }

  /** The next events, by number. */
  async events(count: number): Promise<string[]> {
    while (this.#unread.length < count) {
      const message = await this.message();
      if (message === undefined) {
        throw new Error("the stream has ended");
      }
      this.#unread.push(...message.events);
    }
    return this.#unread.splice(0, count).map(({ number, event }) => `${number} ${event.case ?? ""}`);
  }

  async *#requests(): AsyncGenerator<SessionRequest> {
    for (;;) {
      const request = this.#queue.shift();
      if (request !== undefined) {
        yield request;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}

let tickets = 0;

function lock(number: number, name: string, waitMs?: bigint): Command {
  const ticketId = Buffer.alloc(16);
  ticketId.writeUInt32BE(++tickets);
  const value = { lock: { case: "name" as const, value: name }, ticketId, ...(waitMs !== undefined && { waitMs }) };
  return { number, command: { case: "lock", value } };
}

function unlock(number: number, of: number): Command {
  return { number, command: { case: "unlock", value: { lock: of } } };
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  return await promise.then(
    () => {
      throw new Error("expected the stream to fail");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** The protocols by which a session can come. */
const sessionWays: [string, (options?: ServedOptions) => Promise<{ served: Served; transport: Transport }>][] = [
  ...[true, false].map((direct): (typeof sessionWays)[number] => [
    direct ? "Connect's protocol, directly" : "Connect's protocol by Connect",
    async (options) => {
      const served = await Served.start({ ...options, direct });
      return { served, transport: createConnectTransport({ baseUrl: served.url, httpVersion: "2" }) };
    },
  ]),
  [
    "JSON",
    async (options) => {
      const served = await Served.start(options);
      const baseUrl = served.url;
      return { served, transport: createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }) };
    },
  ],
  [
    "gRPC",
    async (options) => {
      const served = await Served.start(options);
      return { served, transport: createGrpcTransport({ baseUrl: served.url }) };
    },
  ],
];

describe.each(sessionWays)("a session, %s", (_, open) => {
  const lines: Record<string, unknown>[] = [];
  let served: Served;
  let client: Client<typeof LockService>;

  beforeEach(async () => {
    lines.length = 0;
    const write = (line: string) => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
    };
    const logger = pino({ level: "debug", base: null, timestamp: false }, { write });
    const opened = await open({ limits: { waiterGraceMs: 100, maxMessageBytes: 4_000 }, logger });
    served = opened.served;
    client = createClient(LockService, opened.transport);
  });

  afterEach(async () => {
    await served[Symbol.asyncDispose]();
  });

  const a = Buffer.from("a");

  async function waiters(count: number, name = "a"): Promise<void> {
    while (served.store.state(Buffer.from(name)).waiters !== count) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  test("opens with its terms, before anything was sent", async () => {
    const stream = new Stream(client);
    expect(await stream.message()).toMatchObject({
      events: [],
      terms: { heartbeatMs: 2_000n, timeoutMs: 6_000n, maxCommands: 1_000_000 },
    });
    stream.end();
    expect(await stream.message()).toBeUndefined();
  });

  test("answers commands, tells of grants, and ends when the client ends it", async () => {
    const stream = new Stream(client);
    stream.send(lock(1, "a"), lock(2, "b"), lock(3, "a"), lock(4, "a", 0n));
    expect((await stream.events(3)).sort()).toEqual(["1 granted", "2 granted", "4 refused"]);
    stream.send(unlock(5, 1));
    expect((await stream.events(2)).sort()).toEqual(["3 granted", "5 unlocked"]);
    stream.send(unlock(6, 3), lock(7, "b"));
    stream.end();
    expect(await stream.events(1)).toEqual(["6 unlocked"]);
    expect(await stream.message()).toBeUndefined();
    await waiters(0, "b");
    await ended("ok");
  });

  test("ends with an error at a number in use, after the events before it", async () => {
    const stream = new Stream(client);
    stream.send(lock(1, ""), lock(2, "a"), lock(2, "b"));
    expect(await stream.events(1)).toEqual(["1 failed"]);
    const error = await failure(stream.message());
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect(error.rawMessage).toMatch(/number 2 is 0 or in use/);
    expect(error.findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.INVALID_COMMAND }]);
    await ended("invalid_argument");
  });

  test("that breaks keeps its waits for the grace, and is no fault of the server", async () => {
    const stream = new Stream(client);
    stream.send(lock(1, "a"), lock(2, "a"));
    expect(await stream.events(1)).toEqual(["1 granted"]);
    await waiters(1);
    const brokenAt = performance.now();
    stream.abort();
    await waiters(0);
    expect(performance.now() - brokenAt).toBeGreaterThan(90);
    expect(served.store.state(a).holderToken).toBeGreaterThan(0n);
    expect(lines.filter(({ level }) => (level as number) > 30)).toEqual([]);
  });

  test("is told of every wait when the server stops, and then that it stops", async () => {
    const stream = new Stream(client);
    stream.send(lock(1, "a"), ...Array.from({ length: 50 }, (_, n) => lock(n + 2, "a")));
    expect(await stream.events(1)).toEqual(["1 granted"]);
    await waiters(50);
    const stoppedAt = performance.now();
    const stopped = served.stop();
    expect(await stream.events(51)).toContain("1 lost");
    const error = await failure(stream.message());
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect(error.findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.SHUTTING_DOWN }]);
    await stopped;
    expect(performance.now() - stoppedAt).toBeLessThan(1_000);
  });

  test("many at a time leave nothing behind", async () => {
    const streams = Array.from({ length: 20 }, () => new Stream(client));
    for (const [index, stream] of streams.entries()) {
      stream.send(...Array.from({ length: 20 }, (_, n) => lock(n + 1, `${index}/${n}`)));
    }
    for (const stream of streams) {
      await stream.events(20);
      stream.send(...Array.from({ length: 20 }, (_, n) => unlock(n + 100, n + 1)));
      await stream.events(20);
      stream.end();
      expect(await stream.message()).toBeUndefined();
    }
    expect(served.store.size).toBe(0);
    while (served.shutdownListeners > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });

  /** Resolves once the session was logged with its end. */
  async function ended(code: string): Promise<void> {
    const method = "metasrv.v1.LockService/Session";
    // The lines of what a session asks for have a command.
    const ends = () => lines.filter((line) => line.msg === "request" && line.method === method && !("command" in line));
    while (ends().length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(ends()).toMatchObject([{ code }]);
  }
});

/** Resolves once a stream has closed, in whatever way. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.on("close", resolve));
}

describe("the bytes of a session", () => {
  const headers = { ":path": "/metasrv.v1.LockService/Session", "content-type": "application/connect+proto" };
  const noTerms = { heartbeatMs: 10_000, sessionTimeoutMs: 20_000 };

  function request(...commands: Command[]): Buffer {
    return envelope(toBinary(SessionRequestSchema, create(SessionRequestSchema, { commands })));
  }

  /** The messages of a stream, and how it ended. */
  function read({ headers: answered, body, code }: RawAnswer) {
    const messages: unknown[] = [];
    for (let rest = body; rest.length > 0; rest = rest.subarray(5 + rest.readUInt32BE(1))) {
      const message = rest.subarray(5, 5 + rest.readUInt32BE(1));
      messages.push(
        rest[0] === 2
          ? (JSON.parse(message.toString()) as unknown)
          : fromBinary(SessionResponseSchema, message).events.map(
              ({ number, event }) => `${number} ${event.case ?? ""}`,
            ),
      );
    }
    return { http: answered[":status"], type: answered["content-type"], messages, code };
  }

  const good = request(lock(1, ""));
  const bodies: [string, Record<string, string>, Uint8Array][] = [
    ["nothing", {}, Buffer.alloc(0)],
    ["a heartbeat", {}, request()],
    ["a command", {}, good],
    ["a message and a half", {}, Buffer.concat([good, good.subarray(0, 20)])],
    ["half a prefix", {}, good.subarray(0, 3)],
    ["no protobuf", {}, envelope(new Uint8Array([0xff, 0xff, 0xff]))],
    ["a message marked as compressed", {}, envelope(good.subarray(5), 1)],
    ["an end of stream", {}, Buffer.concat([good, envelope(Buffer.from("{}"), 2)])],
    ["a message that is too large", {}, request(lock(1, "x".repeat(10_000)))],
    ["an unknown field", {}, envelope(new Uint8Array([0x78, 1]))],
    ["the number 0", {}, request(lock(0, "a"))],
    ["an unknown command", {}, request({ number: 7 })],
    ["an unknown compression", { "connect-content-encoding": "zip" }, good],
    ["a bad time-out", { "connect-timeout-ms": "soon" }, good],
    ["GET", { ":method": "GET" }, Buffer.alloc(0)],
  ];
  test.each(bodies)("%s is answered as by Connect", async (_, change, body) => {
    const answers = [];
    for (const direct of [true, false]) {
      await using served = await Served.start({ direct, limits: { ...noTerms, maxMessageBytes: 4_000 } });
      answers.push(read(await rawRequest(served.connect(), { ...headers, ...change }, body)));
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  test.each([true, false])("a client that never ends its side is let go of (directly: %s)", async (direct) => {
    await using served = await Served.start({ direct, limits: noTerms });
    const stream = served.connect().request({ ":method": "POST", ...headers });
    stream.on("error", () => undefined);
    stream.write(request(lock(0, "a")));
    stream.resume();
    await closed(stream);
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });

  test.each([true, false])("a client that does not read is reset (directly: %s)", async (direct) => {
    await using served = await Served.start({ direct, limits: { heartbeatMs: 100, sessionTimeoutMs: 300 } });
    const session = served.connect();
    const stream = session.request({ ":method": "POST", ...headers });
    stream.on("error", () => undefined);
    const failing = request(...Array.from({ length: 1_000 }, (_, n) => lock(n + 1, "")));
    let sent = 0;
    const flood = setInterval(() => {
      while (!stream.destroyed && !stream.writableNeedDrain && sent < 5_000) {
        stream.write(failing);
        sent++;
      }
    }, 1);
    const before = process.memoryUsage().heapUsed;
    await closed(stream);
    clearInterval(flood);
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(sent).toBeLessThan(5_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(150_000_000);
  });

  test.each([true, false])("a client that gives no sign of life is reset (directly: %s)", async (direct) => {
    await using served = await Served.start({ direct, limits: { heartbeatMs: 20, sessionTimeoutMs: 60 } });
    const stream = served.connect().request({ ":method": "POST", ...headers });
    stream.on("error", () => undefined);
    stream.resume();
    await closed(stream);
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  test("a client that reads late gets everything", async () => {
    await using served = await Served.start({ limits: noTerms });
    const stream = served.connect().request({ ":method": "POST", ...headers });
    const failing = request(...Array.from({ length: 1_000 }, (_, n) => lock(n + 1, "")));
    const rounds = 10;
    for (let round = 0; round < rounds; round++) {
      stream.write(failing);
    }
    stream.end();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await closed(stream);
    const { messages } = read({ headers: {}, trailers: {}, body: Buffer.concat(chunks), code: 0 });
    expect(messages.slice(0, -1).flat()).toHaveLength(rounds * 1_000);
    expect(messages.at(-1)).toEqual({});
  });
});

import { EventEmitter, once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { create, createFileRegistry, type DescMethodServerStreaming } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";
import { dependenciesAround } from "../../test-support/served.js";
import { LockError } from "../model/lock-errors.js";
import { createHttpHandler } from "./http-handler.js";
import { Listener } from "./listener.js";
import { createProbes } from "./probes.js";
import { createRoutes } from "./routes.js";

const logger = pino({ level: "silent" });
const clock = systemClock;

/** Locks that are never granted. They tell what their callers do. */
class TakenLocks {
  readonly #claimed: (() => void)[] = [];
  readonly #ended: ((how: string) => void)[] = [];
  /** Resolves with the next claim that is made. */
  readonly claimed = new Promise<void>((resolve) => this.#claimed.push(resolve));
  /** Resolves with how the next claim was given up. */
  readonly ended = new Promise<string>((resolve) => this.#ended.push(resolve));

  claim() {
    const end = (how: string) => () => {
      this.#ended.forEach((resolve) => {
        resolve(how);
      });
    };
    this.#claimed.forEach((resolve) => {
      resolve();
    });
    return {
      cancel: end("canceled"),
      detach: end("detached"),
      release: () => Promise.resolve(),
      renew: () => Promise.resolve(1),
    };
  }

  unlock() {
    return Promise.resolve();
  }

  renew() {
    return Promise.resolve(1);
  }

  resume() {
    return Promise.reject(new LockError("not-held", "nothing is held here"));
  }
}

let locks: TakenLocks;
let listener: Listener;
let url: string;

beforeEach(async () => {
  locks = new TakenLocks();
  const dependencies = dependenciesAround(locks, { clock, logger });
  const handler = createHttpHandler({
    routes: createRoutes(dependencies),
    probes: createProbes(dependencies.readiness),
    pages: new Map([["/metrics", () => undefined]]),
    folders: ["/console/"],
    shutdownSignal: new AbortController().signal,
    logger,
  });
  listener = await Listener.start({ bind: { host: "127.0.0.1", port: 0 }, handler, clock, logger });
  url = `http://${listener.address}`;
});

afterEach(async () => {
  await listener.stop(0);
});

const path = "/metasrv.v1.LockService/Lock";
const json = { "content-type": "application/json" };
const ticketId = Buffer.alloc(16, 1).toString("base64");

function lockOverHttp2(session: ClientHttp2Session, request: object, headers: Record<string, string> = {}) {
  session.on("error", () => undefined);
  const stream = session.request({ ":method": "POST", ":path": path, ...json, ...headers });
  stream.on("error", () => undefined);
  stream.end(JSON.stringify(request));
  return stream;
}

describe("a caller that waits", () => {
  test("and resets its HTTP/2 stream has given up", async () => {
    const session = connectHttp2(url);
    const stream = lockOverHttp2(session, { name: "a", ticketId });
    await locks.claimed;
    stream.close(constants.NGHTTP2_CANCEL);
    expect(await locks.ended).toBe("canceled");
    session.close();
  });

  test("and loses its HTTP/2 connection may come back", async () => {
    const session = connectHttp2(url);
    lockOverHttp2(session, { name: "a", ticketId });
    await locks.claimed;
    session.destroy();
    expect(await locks.ended).toBe("detached");
  });

  test("and loses its HTTP/2 connection, but chose no ticket id, cannot come back", async () => {
    const session = connectHttp2(url);
    lockOverHttp2(session, { name: "a" });
    await locks.claimed;
    session.destroy();
    expect(await locks.ended).toBe("canceled");
  });

  test("and loses its HTTP/1 connection may come back", async () => {
    const abort = new AbortController();
    const body = JSON.stringify({ name: "a", ticketId });
    const call = fetch(url + path, { method: "POST", headers: json, body, signal: abort.signal }).catch(
      () => undefined,
    );
    await locks.claimed;
    abort.abort();
    expect(await locks.ended).toBe("detached");
    await call;
  });

  test.each([
    ["Connect", { "connect-timeout-ms": "9999999999" }],
    ["gRPC-Web", { "grpc-timeout": "99999999H", "content-type": "application/grpc-web+json" }],
  ])("and would wait for years is served as one that waits without end (%s)", async (_, headers) => {
    const session = connectHttp2(url);
    session.on("error", () => undefined);
    const stream = session.request({ ":method": "POST", ":path": path, ...json, ...headers });
    const message = Buffer.from(JSON.stringify({ name: "a", ticketId }));
    const prefix = Buffer.from([0, 0, 0, 0, message.length]);
    stream.end("grpc-timeout" in headers ? Buffer.concat([prefix, message]) : message);
    const first = await Promise.race([
      locks.claimed.then(() => "claimed"),
      once(stream, "response").then(() => "answered"),
    ]);
    expect(first).toBe("claimed");
    stream.on("error", () => undefined);
    session.destroy();
    expect(await locks.ended).toBe("detached");
  });

  test.each([
    ["Connect", { "connect-timeout-ms": "20" }],
    ["gRPC-Web", { "grpc-timeout": "20m", "content-type": "application/grpc-web+json" }],
  ])("and whose deadline passes has given up (%s)", async (_, headers) => {
    const session = connectHttp2(url);
    const message = Buffer.from(JSON.stringify({ name: "a", ticketId }));
    const stream = session.request({ ":method": "POST", ":path": path, ...json, ...headers });
    if ("grpc-timeout" in headers) {
      stream.write(Buffer.from([0, 0, 0, 0, message.length]));
    }
    stream.end(message);
    expect(await locks.ended).toBe("canceled");
    expect(await text(stream)).toMatch(/deadline_exceeded|grpc-status: 4/);
    session.close();
  });
});

test("a stream that is open is told when the server stops", async () => {
  const Ticks = createFileRegistry(
    create(FileDescriptorProtoSchema, {
      name: "ticks.proto",
      package: "test",
      syntax: "proto3",
      messageType: [{ name: "Tick" }],
      service: [
        {
          name: "Ticks",
          method: [{ name: "Watch", inputType: ".test.Tick", outputType: ".test.Tick", serverStreaming: true }],
        },
      ],
    }),
    () => undefined,
  ).getService("test.Ticks");
  if (Ticks === undefined) {
    throw new Error("the service is missing");
  }
  const shutdown = new AbortController();
  const handler = createHttpHandler({
    routes: (router) => {
      const [watch] = Ticks.methods;
      router.rpc(watch as DescMethodServerStreaming, async function* (_, { signal }) {
        yield {};
        await once(signal, "abort");
        throw signal.reason;
      });
    },
    probes: new Map(),
    shutdownSignal: shutdown.signal,
    logger,
  });
  const other = await Listener.start({ bind: { host: "127.0.0.1", port: 0 }, handler, clock, logger });
  const session = connectHttp2(`http://${other.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/test.Ticks/Watch",
    "content-type": "application/connect+json",
  });
  stream.end(Buffer.from("\0\0\0\0\x02{}", "latin1"));
  await once(stream, "readable");
  shutdown.abort(new ConnectError("stopping", Code.Unavailable));
  expect(await text(stream)).toContain('"code":"unavailable","message":"stopping"');
  session.close();
  await other.stop(1_000);
});

test.each(["application/connect+json", "application/connect+proto", "application/grpc", "application/grpc-web+proto"])(
  "a caller that goes in the midst of its request is no fault of the server (%s)",
  async (contentType) => {
    const lines: { level: number; msg: string; code?: string }[] = [];
    const ended = new EventEmitter();
    const collecting = pino(
      { level: "debug" },
      {
        write: (text: string) => {
          const line = JSON.parse(text) as (typeof lines)[number];
          lines.push(line);
          ended.emit(line.msg, line.code);
        },
      },
    );
    const handler = createHttpHandler({
      routes: createRoutes(dependenciesAround(locks, { clock, logger: collecting })),
      probes: new Map(),
      shutdownSignal: new AbortController().signal,
      logger: collecting,
    });
    const other = await Listener.start({ bind: { host: "127.0.0.1", port: 0 }, handler, clock, logger: collecting });
    try {
      const session = connectHttp2(`http://${other.address}`);
      session.on("error", () => undefined);
      const watch = { ":method": "POST", ":path": "/metasrv.v1.ClusterService/WatchMembers" };
      const stream = session.request({ ...watch, "content-type": contentType });
      stream.on("error", () => undefined);
      stream.write(Buffer.from([0]));
      await once(session, "connect");
      // The answer to a ping comes after what was sent before it has arrived.
      await new Promise((resolve) => session.ping(resolve));
      session.destroy();
      expect(await once(ended, "request")).toEqual(["canceled"]);
      expect(lines.filter(({ level }) => level > 20)).toEqual([]);
    } finally {
      await other.stop(0);
    }
  },
);

test.each([
  [path, "resource_exhausted"],
  ["/nowhere", "There is nothing at /nowhere"],
])("a large request to %s is answered and then over", async (where, answer) => {
  const session = connectHttp2(url);
  const stream = lockOverHttp2(session, { name: "a", owner: "x".repeat(2_000_000) }, { ":path": where });
  expect(await text(stream)).toContain(answer);
  await Promise.all([once(session, "close"), listener.stop(60_000)]);
});

describe("what is not a call", () => {
  test("GET / says what this is", async () => {
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(
      "This is metasrv, a lock service. It serves:\n" +
        "  GET /console/\n  GET /healthz\n  GET /readyz\n  GET /metrics\n" +
        "and calls by gRPC, gRPC-Web, Connect and JSON, such as\n  POST /metasrv.v1.LockService/Lock\n",
    );
  });

  test("an unknown path gets 404 and the names of the services", async () => {
    const response = await fetch(`${url}/metasrv.v1.LockService/Lokc`, { method: "POST", headers: json, body: "{}" });
    expect(response.status).toBe(404);
    expect(await response.text()).toMatch(
      /nothing at \/metasrv\.v1\.LockService\/Lokc.*\/greptime\.v1\.meta\.Lock\/Unlock/s,
    );
  });

  test.each([
    ["GET", 405, undefined],
    ["POST", 415, "{}"],
  ])("a %s that is no call gets %i and what to send", async (method, status, body) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const response = await fetch(url + path, { method, headers, ...(body !== undefined && { body }) });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(/POST with a Content-Type of application\/json/);
  });

  test.each([
    ["without a Host", `POST ${path} HTTP/1.0\r\n`],
    ["with a malformed Host", `POST ${path} HTTP/1.1\r\nHost: [not a host\r\nConnection: close\r\n`],
    ["with an IPv6 address without brackets", `POST ${path} HTTP/1.1\r\nHost: ::1:3002\r\nConnection: close\r\n`],
  ])("a request %s is served: nothing depends on that", async (_, head) => {
    const socket = connectTcp(Number(new URL(url).port), "127.0.0.1");
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"x":1}`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 .*"code":"invalid_argument"/s);
    expect((await fetch(url)).status).toBe(200);
  });
});

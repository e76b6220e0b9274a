import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";
import { dependenciesAround } from "../../test-support/served.js";
import { createHttpHandler } from "./http-handler.js";
import { Listener } from "./listener.js";
import { corsSchema, Origins } from "./origins.js";
import { createRoutes } from "./routes.js";
import { createStreamHandler } from "./stream-handler.js";

const logger = pino({ level: "silent" });
const app = "https://app.example.com";
const path = "/metasrv.v1.ClusterService/ListMembers";
const call = { "content-type": "application/json", "connect-protocol-version": "1" };

let listener: Listener;

beforeEach(async () => {
  const dependencies = dependenciesAround({} as never, { logger });
  const shutdownSignal = new AbortController().signal;
  const handler = createHttpHandler({
    routes: createRoutes(dependencies),
    probes: new Map(),
    origins: new Origins({ allowed: [app], serverHost: "Metasrv-1.corp" }),
    shutdownSignal,
    logger,
  });
  listener = await Listener.start({
    bind: { host: "127.0.0.1", port: 0 },
    handler,
    streamHandler: createStreamHandler(dependencies, shutdownSignal),
    clock: systemClock,
    logger,
  });
});

afterEach(async () => {
  await listener.stop(0);
});

/** Over HTTP/2, where a test can say anything, and the authority is any, too. */
async function ask(headers: Record<string, string>, body = "{}") {
  const session = connect(`http://${listener.address}`);
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  stream.end(body);
  const [answered] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const answer = await text(stream);
  session.destroy();
  return { status: answered[":status"], headers: answered, body: answer };
}

test("what names no origin, such as curl, is served", async () => {
  expect(await ask({ "content-type": "application/json" })).toMatchObject({ status: 200, body: "{}" });
});

describe("a page of this server itself may call", () => {
  test.each([
    ["http://127.0.0.1:3002", "127.0.0.1:3002"],
    ["http://[::1]:3002", "[::1]:3002"],
    ["http://10.1.2.3", "10.1.2.3:80"],
    ["http://localhost:3002", "localhost:3002"],
    ["http://a.localhost:3002", "a.localhost:3002"],
    ["https://metasrv-1.corp", "metasrv-1.corp"],
  ])("%s asks %s", async (origin, authority) => {
    const answer = await ask({ ...call, origin, ":authority": authority });
    expect(answer).toMatchObject({ status: 200, body: "{}" });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("a page of another origin may not call", () => {
  test.each([
    ["https://evil.example", "127.0.0.1:3002"],
    ["http://127.0.0.1:8080", "127.0.0.1:3002"],
    // A name that its owner has made resolve to this server's address.
    ["http://evil.example:3002", "evil.example:3002"],
    ["null", "127.0.0.1:3002"],
    ["", "127.0.0.1:3002"],
    ["http://127.0.0.1:3002", "::1:3002"],
    [`${app}.evil.example`, "127.0.0.1:3002"],
  ])("%j asks %s", async (origin, authority) => {
    for (const type of ["application/json", "application/grpc-web+proto", "application/grpc", "text/plain"]) {
      const answer = await ask({ ...call, "content-type": type, origin, ":authority": authority });
      expect(answer.status).toBe(403);
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      expect(JSON.parse(answer.body)).toMatchObject({
        code: "permission_denied",
        message: expect.stringContaining("--cors-origins") as unknown,
      });
    }
  });

  test("not even by the ways that go round the handler", async () => {
    const headers = { origin: "https://evil.example", te: "trailers" };
    const lock = { ...headers, ":path": "/metasrv.v1.LockService/Lock", "content-type": "application/grpc" };
    expect((await ask(lock)).status).toBe(403);
    const session = { ":path": "/metasrv.v1.LockService/Session", "content-type": "application/connect+proto" };
    expect((await ask({ ...headers, ...session })).status).toBe(403);
  });

  test("and is told so before it does", async () => {
    const answer = await ask({ ":method": "OPTIONS", origin: "https://evil.example" }, "");
    expect(answer.status).toBe(403);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("a page of an origin that is allowed", () => {
  test("may call and read the answer", async () => {
    const answer = await ask({ ...call, origin: app });
    expect(answer).toMatchObject({ status: 200, body: "{}" });
    expect(answer.headers).toMatchObject({ "access-control-allow-origin": app, vary: "Origin" });
    expect(answer.headers["access-control-expose-headers"]).toContain("Grpc-Status");
  });

  test("is told before what it may send", async () => {
    const answer = await ask({ ":method": "OPTIONS", origin: app, "access-control-request-method": "POST" }, "");
    expect(answer.status).toBe(204);
    const allowed = answer.headers["access-control-allow-headers"];
    for (const header of ["Content-Type", "Connect-Protocol-Version", "X-Grpc-Web", "Authorization", "metasrv-route"]) {
      expect(allowed).toContain(header);
    }
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": app,
      "access-control-allow-methods": "POST",
    });
  });

  test("needs the header that no form can set", async () => {
    const answer = await ask({ "content-type": "application/json", origin: app });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain("Connect-Protocol-Version: 1");
    expect((await ask({ ...call, "connect-protocol-version": "2", origin: app })).status).toBe(400);
  });

  test.each(["application/grpc-web-text", "application/grpc-web-text+proto"])(
    "that sends %s is told what to do",
    async (type) => {
      const answer = await ask({ "content-type": type, origin: app }, "AAAAAAA=");
      expect(answer.status).toBe(415);
      expect(answer.headers["access-control-allow-origin"]).toBe(app);
      expect(answer.body).toMatch(/base64, is not served.*application\/grpc-web\+proto/);
    },
  );

  test("may use gRPC-Web", async () => {
    const answer = await ask(
      { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", origin: app },
      "\0\0\0\0\0",
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("grpc-status: 0");
  });
});

describe("an origin to be allowed", () => {
  test.each(["https://app.example.com", "http://localhost:5173", "http://[::1]:8080"])("may be %s", (origin) => {
    expect(corsSchema.parse({ origins: [origin] })).toEqual({ origins: [origin] });
  });

  test.each(["*", "app.example.com", "https://app.example.com/", "https://APP.example.com", "ftp://a", "null"])(
    "may not be %s",
    (origin) => {
      const { error } = corsSchema.safeParse({ origins: [origin] });
      expect(error?.issues[0]?.message).toContain(`without a path and one by one; got "${origin}"`);
    },
  );
});

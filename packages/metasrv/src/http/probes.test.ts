import { once } from "node:events";
import { type IncomingMessage, request as requestHttp1 } from "node:http";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";
import { Readiness } from "../api/readiness.js";
import { createHttpHandler } from "./http-handler.js";
import { Listener } from "./listener.js";
import { createProbes } from "./probes.js";

const clock = systemClock;
const logger = pino({ level: "silent" });

let problems: string[];
let listener: Listener;
let session: ClientHttp2Session;

beforeEach(async () => {
  problems = [];
  const handler = createHttpHandler({
    routes: () => undefined,
    probes: createProbes(new Readiness({ clock, problems: () => problems })),
    shutdownSignal: new AbortController().signal,
    logger,
  });
  listener = await Listener.start({ bind: { host: "127.0.0.1", port: 0 }, handler, clock, logger });
  session = connect(`http://${listener.address}`);
});

afterEach(async () => {
  session.destroy();
  await listener.stop(0);
});

const ways: Record<string, (method: string, path: string) => Promise<[number | undefined, string]>> = {
  "HTTP/1.1": async (method, path) => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      requestHttp1(`http://${listener.address}${path}`, { method, agent: false }, resolve).on("error", reject).end();
    });
    return [response.statusCode, await text(response)];
  },
  h2c: async (method, path) => {
    const stream = session.request({ ":method": method, ":path": path });
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    return [Number(headers[":status"]), await text(stream)];
  },
};

describe.each(Object.entries(ways))("by %s", (_name, ask) => {
  test("/healthz says that the process serves, whatever else is wrong", async () => {
    expect(await ask("GET", "/healthz")).toEqual([200, "ok\n"]);
    problems.push("etcd is away");
    expect(await ask("GET", "/healthz?verbose")).toEqual([200, "ok\n"]);
  });

  test("/readyz says whether requests are welcome, and what is wrong", async () => {
    expect(await ask("GET", "/readyz")).toEqual([200, "ready\n"]);
    problems.push("etcd is away", "it is stopping");
    expect(await ask("GET", "/readyz")).toEqual([503, "not ready: etcd is away\nnot ready: it is stopping\n"]);
    expect(await ask("HEAD", "/readyz")).toEqual([503, ""]);
  });

  test("both take HEAD, and nothing that could mean a change", async () => {
    expect(await ask("HEAD", "/healthz")).toEqual([200, ""]);
    expect(await ask("HEAD", "/readyz")).toEqual([200, ""]);
    expect(await ask("POST", "/readyz")).toEqual([405, "Send a GET or a HEAD.\n"]);
  });

  test("they are among what there is", async () => {
    const [, list] = await ask("GET", "/");
    expect(list).toContain("GET /readyz");
  });
});

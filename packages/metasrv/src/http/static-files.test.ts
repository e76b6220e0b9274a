import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";
import { createHttpHandler } from "./http-handler.js";
import { Listener } from "./listener.js";
import { createMissingHandler, createStaticHandler, type StaticHandler } from "./static-files.js";

const logger = pino({ level: "silent" });
const page = { path: "", contentType: "text/html; charset=utf-8", body: Buffer.from("<p>page") };
const script = { path: "page/main.js", contentType: "text/javascript; charset=utf-8", body: Buffer.from("start()") };
const served = createStaticHandler({ root: "/console/", files: [page, script], policy: "default-src 'self'" });

let listener: Listener;
let files: StaticHandler;

beforeEach(async () => {
  files = served;
  const handler = createHttpHandler({
    routes: () => undefined,
    probes: new Map(),
    files: (...args) => files(...args),
    shutdownSignal: new AbortController().signal,
    logger,
  });
  listener = await Listener.start({ bind: { host: "127.0.0.1", port: 0 }, handler, clock: systemClock, logger });
});

afterEach(async () => {
  await listener.stop(0);
});

async function ask(path: string, init: RequestInit = {}) {
  const response = await fetch(`http://${listener.address}${path}`, { redirect: "manual", ...init });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

test.each([
  ["/console/", page],
  ["/console/?prefix=a", page],
  ["/console/page/main.js", script],
])("%s is served under the policy", async (path, { body, contentType }) => {
  const answer = await ask(path);
  expect([answer.status, answer.body]).toEqual([200, body.toString()]);
  expect(answer.headers.get("content-type")).toBe(contentType);
  expect(answer.headers.get("content-security-policy")).toBe("default-src 'self'");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("x-frame-options")).toBe("DENY");
  expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
});

test("a browser that has the file gets it only when it has changed", async () => {
  const { headers } = await ask("/console/page/main.js");
  const etag = headers.get("etag") ?? "";
  const again = await ask("/console/page/main.js", { headers: { "if-none-match": etag } });
  expect([again.status, again.body]).toEqual([304, ""]);
  const other = await ask("/console/", { headers: { "if-none-match": etag } });
  expect([other.status, other.body]).toEqual([200, "<p>page"]);
});

test("without its slash, the page is found relative to where it was looked for", async () => {
  const answer = await ask("/console");
  expect([answer.status, answer.headers.get("location")]).toEqual([308, "console/"]);
});

test("HEAD has no body, and nothing is taken that could mean a change", async () => {
  expect(await ask("/console/", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  expect(await ask("/console/", { method: "POST", body: "x" })).toMatchObject({ status: 405 });
});

test.each(["/console/page/other.js", "/console/page%2Fmain.js", "/console//", "/consol"])(
  "%s is no file",
  async (path) => {
    expect((await ask(path)).status).toBe(404);
  },
);

test("where there are none, whoever looks for them is told why", async () => {
  files = createMissingHandler("/console/", "It is off.\n");
  expect(await ask("/console/page/main.js")).toMatchObject({ status: 404, body: "It is off.\n" });
  expect(await ask("/console")).toMatchObject({ status: 404, body: "It is off.\n" });
  expect((await ask("/consoles")).body).toContain("There is nothing at /consoles");
});

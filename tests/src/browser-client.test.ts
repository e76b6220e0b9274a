import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type * as Client from "@metasrv/meta-client";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { startChromium } from "./console-page.js";

/** Where the page of the tests seems to come from. */
const origin = "https://app.example.com";

/** In the page, the package is a global variable. */
declare const client: typeof Client;

let browser: Browser;
let bundle: string;
let page: Page;
let server: Metasrv;
let meta: MetaClient;

beforeAll(async () => {
  browser = await startChromium();
  const { outputFiles } = await build({
    stdin: {
      contents: 'import * as client from "@metasrv/meta-client"; globalThis.client = client;',
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
    },
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
  });
  bundle = outputFiles[0]?.text ?? "";
}, 120_000);

beforeEach(async () => {
  server = await startMetasrv({ args: ["--cors-origins", origin] });
  meta = new MetaClient({ endpoints: [server.url] });
  // Chromium asks its user before a page of the internet may reach this machine.
  const context = await browser.newContext({ permissions: ["local-network-access"] });
  await context.route(`${origin}/*`, (route) =>
    route.fulfill({ contentType: "text/html", body: "<!doctype html><title>app</title>" }),
  );
  page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.addScriptTag({ content: bundle, type: "module" });
  await page.waitForFunction("client");
});

afterEach(async () => {
  await page.context().close();
  await meta.close();
  await server[Symbol.asyncDispose]();
});

afterAll(async () => {
  await browser.close();
});
afterAll(leakCheck());

test("the bundle needs nothing of Node", () => {
  expect(bundle).not.toMatch(/require\("(?!buffer)|from "node:/);
});

test("a page shares locks with others: it waits, is granted in its turn, renews, and gives back", async () => {
  const held = await meta.lock("orders/42", { ttlMs: 60_000 });
  const waited = page.evaluate(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url], owner: "a page" });
    if ((await meta.tryLock("orders/42")) !== null) {
      throw new Error("it was held");
    }
    const lock = await meta.lock("orders/42", { ttlMs: 1_000 });
    // Three times its TTL: it is renewed.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    lock.throwIfLost();
    const { token, name } = lock;
    await lock.release();
    await meta.close();
    return { token: String(token), name };
  }, server.url);
  await until(async () => (await meta.locks.get("orders/42")).waiters === 1, { what: "the page to wait" });
  await held.release();
  const next = await meta.lock("orders/42", { ttlMs: 60_000 });
  const { token, name } = await waited;
  expect(name).toBe("orders/42");
  expect(BigInt(token)).toBeGreaterThan(held.token);
  expect(BigInt(token)).toBeLessThan(next.token);
});

test("a page is told that its lock was taken by force", async () => {
  const lost = page.evaluate(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url], owner: "a page" });
    const lock = await meta.lock(new Uint8Array([0xff, 1]), { ttlMs: 60_000, labels: { größe: "1 €" } });
    await new Promise((resolve) => {
      lock.signal.addEventListener("abort", resolve);
    });
    await meta.close();
    const reason: unknown = lock.signal.reason;
    return reason instanceof client.LockLostError ? reason.forced : String(reason);
  }, server.url);
  const name = new Uint8Array([0xff, 1]);
  await until(async () => (await meta.locks.get(name)).tickets.length === 1, { what: "the page to hold" });
  const [ticket] = (await meta.locks.get(name)).tickets;
  expect(ticket).toMatchObject({ owner: "a page", labels: { größe: "1 €" } });
  await meta.locks.force(name, ticket?.token ?? 0n, { reason: "a test", actor: "somebody" });
  expect(await lost).toMatchObject({ actor: "somebody", reason: "a test" });
});

test("a page says how it reaches the server, and holds many locks over one session", async () => {
  const found = await page.evaluate(async (url) => {
    const carriers: Client.ClientEvents["connected"][] = [];
    const meta = new client.MetaClient({ endpoints: [url] });
    meta.on("connected", (carrier) => carriers.push(carrier));
    const locks = await Promise.all(Array.from({ length: 200 }, (_, n) => meta.lock(`many/${n}`)));
    let listed = 0;
    for await (const { holders } of meta.locks.list({ prefix: "many/" })) {
      listed += holders.length;
    }
    await Promise.all(locks.map((lock) => lock.release()));
    await meta.close();
    return { carriers, listed };
  }, server.url);
  expect(found.listed).toBe(200);
  expect(found.carriers).toEqual([
    { endpoint: server.url, carrier: "attach", httpVersion: "1.1", why: expect.any(String) as unknown },
  ]);
});

test("a page that is closed leaves nothing behind", async () => {
  await page.evaluate(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url] });
    await meta.lock("orders/42", { ttlMs: 2_000 });
    meta.lock("orders/42").catch(() => undefined);
  }, server.url);
  await page.close();
  await until(async () => (await meta.locks.get("orders/42")).tickets.length === 0, {
    what: "its hold and its wait to end",
    timeoutMs: 10_000,
  });
});

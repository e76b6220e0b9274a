import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type * as Client from "@metasrv/meta-client";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import type { Browser, Page } from "playwright-core";
import { startChromium } from "./console-page.js";
import { PageTasks } from "./page-tasks.js";
import { WebApp } from "./web-app.js";

/** In the page, the package is a global variable. */
declare const client: typeof Client;

let browser: Browser;
let app: WebApp;
let page: Page;
let tasks: PageTasks;
let server: Metasrv;
let meta: MetaClient;

beforeAll(async () => {
  browser = await startChromium();
  app = await WebApp.start("@metasrv/meta-client", "client");
}, 120_000);

beforeEach(async () => {
  server = await startMetasrv({ args: ["--cors-origins", app.origin] });
  meta = new MetaClient({ endpoints: [server.url] });
  page = await app.open(browser);
  tasks = await PageTasks.of(page);
});

afterEach(async () => {
  await page.close();
  await meta.close();
  await server[Symbol.asyncDispose]();
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});
afterAll(leakCheck());

test("the bundle needs nothing of Node", () => {
  expect(app.bundle).not.toMatch(/require\("(?!buffer)|from "node:/);
});

test("a page keeps its lock alive", async () => {
  const held = tasks.run(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url] });
    const lock = await meta.lock("orders/42", { ttlMs: 1_000 });
    // Three times its TTL.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    lock.throwIfLost();
    const { token } = lock;
    await lock.release();
    await meta.close();
    return token;
  }, server.url);
  await until(async () => (await meta.locks.get("orders/42")).holderCount === 1, { what: "the page to hold" });
  const next = await meta.lock("orders/42", { ttlMs: 60_000 });
  expect(await held).toBeLessThan(next.token);
});

test("a page is told that its lock was taken by force", async () => {
  const lost = tasks.run(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url], owner: "a page" });
    const lock = await meta.lock(new Uint8Array([0xff, 1]), { ttlMs: 60_000, labels: { größe: "1 €" } });
    // A page that is slow gets the grant and the loss at the same time. Then there is no event any more.
    if (!lock.signal.aborted) {
      await new Promise((resolve) => {
        lock.signal.addEventListener("abort", resolve);
      });
    }
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

test("a page in a machine that was suspended knows at once that its lock is lost", async () => {
  const seen = await tasks.run(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url] });
    const lock = await meta.lock("orders/42", { ttlMs: 10_000 });
    const before = lock.held;
    // The time of day has gone on meanwhile; the page's own time and its timers have not.
    const day = Date.now;
    Date.now = () => day() + 12_000;
    await new Promise((resolve) => setTimeout(resolve, 0));
    return { before, after: lock.held, aborted: lock.signal.aborted, remainingMs: lock.remainingMs };
  }, server.url);
  expect(seen).toEqual({ before: true, after: false, aborted: true, remainingMs: 0 });
});

test("a page from elsewhere that the server does not name is kept out, and told what may be the cause", async () => {
  await using strict = await startMetasrv();
  const error = await tasks.run(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url], unavailableAfterMs: 300 });
    return await meta.lock("orders/42").catch((error: unknown) => String(error));
  }, strict.url);
  expect(error).toMatch(/UnavailableError: .*--cors-origins/);
  await using observer = new MetaClient({ endpoints: [strict.url] });
  expect(await observer.locks.get("orders/42")).toMatchObject({ tickets: [] });
});

test("a page asks another server when one is away, and waits for those that are all away", async () => {
  const locked = (endpoints: string[]) =>
    tasks.run(async (endpoints) => {
      const meta = new client.MetaClient({ endpoints, discover: false });
      return await meta.withLock("orders/42", (lock) => lock.held);
    }, endpoints);
  const away = await startMetasrv({ args: ["--cors-origins", app.origin] });
  await away[Symbol.asyncDispose]();
  expect(await locked([away.url, server.url])).toBe(true);
  const waited = locked([away.url]);
  await using back = await startMetasrv({ args: ["--cors-origins", app.origin, "--bind-addr", away.address] });
  expect(await waited).toBe(true);
  expect(back.url).toBe(away.url);
});

test("a page says how it reaches the server, and holds many locks over one session", async () => {
  const found = await tasks.run(async (url) => {
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
    { endpoint: server.url, carrier: "attach", httpVersion: "1.1", why: "browsers stream one way only" },
  ]);
});

test("a page that is closed leaves nothing behind", async () => {
  await tasks.run(async (url) => {
    const meta = new client.MetaClient({ endpoints: [url] });
    await meta.lock("orders/42", { ttlMs: 2_000 });
    meta.lock("orders/42").catch(() => undefined);
  }, server.url);
  await page.close();
  await until(async () => (await meta.locks.get("orders/42")).tickets.length === 0, {
    what: "its hold and its wait to end",
  });
});

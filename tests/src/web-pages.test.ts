import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import type { Browser, Page } from "playwright-core";
import { startChromium } from "./console-page.js";
import { PageTasks } from "./page-tasks.js";

const path = "/metasrv.v1.LockService/Lock";

let browser: Browser;
/** Serves an empty page, of an origin that is not a metasrv's. */
let elsewhere: Server;
let origin: string;
let page: Page;
let tasks: PageTasks;
let server: Metasrv;

beforeAll(async () => {
  browser = await startChromium();
  elsewhere = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>elsewhere</title>");
  }).listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  origin = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
}, 120_000);

beforeEach(async () => {
  page = await browser.newPage();
  await page.goto(origin);
  tasks = await PageTasks.of(page);
});

afterEach(async () => {
  await page.close();
  await server[Symbol.asyncDispose]();
});

afterAll(async () => {
  await browser.close();
  elsewhere.close();
  elsewhere.closeAllConnections();
});
afterAll(leakCheck());

/** The locks that somebody holds. */
async function held(): Promise<unknown[]> {
  await using meta = new MetaClient({ endpoints: [server.url] });
  const locks = [];
  for await (const { name } of meta.locks.list()) {
    locks.push(name);
  }
  return locks;
}

describe("a page of another origin", () => {
  beforeEach(async () => {
    server = await startMetasrv();
  });

  interface Try {
    readonly mode?: "no-cors";
    readonly headers?: Record<string, string>;
    readonly body: string;
  }

  const tries: Record<string, Try> = {
    "a call of Connect": {
      headers: { "content-type": "application/json", "connect-protocol-version": "1" },
      body: '{"name":"a"}',
    },
    "a call that a browser would make without asking": { mode: "no-cors", body: '{"name":"a"}' },
    "JSON passed off as something else": {
      mode: "no-cors",
      headers: { "content-type": "text/plain" },
      body: '{"name":"a"}',
    },
  };

  test.each(Object.entries(tries))("takes no lock by %s", async (_, init) => {
    const seen = await tasks.run(
      async ([url, init]) => {
        const answer = await fetch(url, { ...init, method: "POST" }).catch(() => undefined);
        return answer?.type === "opaque" ? "nothing" : answer?.text();
      },
      [server.url + path, init] as const,
    );
    expect([undefined, "nothing"]).toContain(seen);
    expect(await held()).toEqual([]);
  });

  test("takes no lock by a form", async () => {
    const sent = page.waitForResponse(server.url + path);
    await page.evaluate((url) => {
      const form = document.createElement("form");
      form.method = "POST";
      form.action = url;
      form.enctype = "text/plain";
      const field = document.createElement("input");
      field.name = '{"name":"a","owner":"';
      field.value = '"}';
      form.append(field);
      document.body.append(form);
      form.submit();
    }, server.url + path);
    expect((await sent).status()).toBe(403);
    expect(await held()).toEqual([]);
  });

  test("cannot show the console in a frame", async () => {
    await page.setContent(`<iframe src="${server.url}/console/"></iframe>`);
    const [, frame] = page.frames();
    await frame?.waitForLoadState();
    expect(await frame?.locator("#page").count()).toBe(0);
  });
});

describe("a page of an origin that is allowed", () => {
  beforeEach(async () => {
    server = await startMetasrv({ args: ["--cors-origins", `https://other.example,${origin}`] });
  });

  test("calls as the guide shows", async () => {
    const guide = await readFile(new URL("../../docs/other-languages.md", import.meta.url), "utf8");
    const { snippet = "" } = /### Browsers.*?```js\n(?<snippet>.*?)```/su.exec(guide)?.groups ?? {};
    expect(snippet).toContain("http://127.0.0.1:3002");
    const code = snippet.replace("http://127.0.0.1:3002", server.url);
    const granted = await tasks.run(`async () => { ${code} return granted; }`);
    expect(granted).toMatchObject({ token: expect.stringMatching(/^\d+$/) as unknown });
    expect(await held()).toEqual(["orders/42"]);
  });
});

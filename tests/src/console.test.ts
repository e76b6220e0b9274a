import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type HeldLock, LockLostError, MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import type { Browser } from "playwright-core";
import { ConsolePage, startChromium } from "./console-page.js";
import { PageTasks } from "./page-tasks.js";

let browser: Browser;
let server: Metasrv;
let clients: MetaClient[];
let shown: ConsolePage | undefined;

beforeAll(async () => {
  browser = await startChromium();
}, 120_000);

beforeEach(async () => {
  server = await startMetasrv();
  clients = [];
});

afterEach(async () => {
  await shown?.[Symbol.asyncDispose]();
  expect(shown?.complaints ?? []).toEqual([]);
  shown = undefined;
  await Promise.all(clients.map((client) => client.close()));
  await server[Symbol.asyncDispose]();
});

afterAll(async () => {
  await browser.close();
});
afterAll(leakCheck());

function clientOf(options: Partial<MetaClientOptions> = {}): MetaClient {
  const client = new MetaClient({ endpoints: [server.url], discover: false, ...options });
  clients.push(client);
  return client;
}

async function open(options: Parameters<typeof ConsolePage.open>[2] = {}): Promise<ConsolePage> {
  return (shown = await ConsolePage.open(browser, server, options));
}

/** Holds a lock with somebody behind it. */
async function contend(name: string): Promise<{ readonly held: HeldLock; readonly next: Promise<HeldLock> }> {
  const held = await clientOf({ owner: "worker-1" }).lock(name, { ttlMs: 60_000, labels: { job: "nightly" } });
  const next = clientOf({ owner: "worker-2" }).lock(name, { ttlMs: 60_000 });
  // Most tests end before it gets the lock.
  next.catch(() => undefined);
  await until(async () => (await clientOf().locks.get(name)).waiters === 1, { what: "a waiter" });
  return { held, next };
}

test("shows locks by family, longest wait first, as they change", async () => {
  const client = clientOf({ owner: "worker-3" });
  const { held, next } = await contend("orders/42");
  await client.lock("jobs/a", { ttlMs: 60_000 });
  await client.lock("plain", { ttlMs: 60_000, mode: "shared" });
  const { lock, rows, page, figure } = bound(await open());
  await lock("orders/42").waitFor();
  expect((await rows()).map((name) => name.replace(/^▾ /, ""))).toEqual([
    "orders/",
    "orders/42",
    "jobs/",
    "jobs/a",
    "(no family)",
    "plain",
  ]);
  expect(await lock("orders/42").locator("span").allTextContents()).toEqual([
    "orders/42",
    "exclusive",
    "worker-1",
    expect.stringMatching(/^\d+ s$/),
    "1",
    expect.stringMatching(/^\d+ s$/),
  ]);
  expect(await figure("Members").textContent()).toBe("1");
  expect(await figure("Leader").textContent()).toBe(server.address);
  expect(await figure("This server").textContent()).toBe("ready");
  expect(await figure("Locks").textContent()).toBe("3");

  const job = await client.lock("jobs/b", { ttlMs: 60_000 });
  await lock("jobs/b").waitFor();
  await job.release();
  await lock("jobs/b").waitFor({ state: "detached" });
  await held.release();
  await next;
  await lock("orders/42").getByText("worker-2").waitFor();
  await until(async () => Number(await figure("Grants/s").textContent()) > 0, { what: "grants to be counted" });

  await page.getByLabel("Names that begin with").fill("jobs/");
  await lock("plain").waitFor({ state: "detached" });
  expect((await rows()).slice(1)).toEqual(["jobs/a"]);
});

test("shows the queue of a lock, and releases by force: with a reason, the right name, and not before the stream says so", async () => {
  const { held, next } = await contend("orders/42");
  const { lock, drawer, dialog, page } = bound(await open());
  await lock("orders/42").click();
  await drawer.getByText("worker-2").waitFor();
  const holder = drawer.locator(".tickets li").first();
  expect(await holder.textContent()).toMatch(
    /^worker-1Holds it for \d+ s \(exclusive\)Token \d+, server 127.*job: nightly/,
  );
  expect(await drawer.locator(".tickets li").last().textContent()).toMatch(/^worker-2Waits at place 1/);

  await holder.getByRole("button").click();
  const release = dialog.getByRole("button", { name: "Release by force" });
  expect(await dialog.textContent()).toMatch(new RegExp(`worker-1There for\\d+ sToken${held.token}`));
  await dialog.getByLabel("The lock's name").fill("orders/43");
  await dialog.getByLabel("Reason").fill("the job hangs");
  await dialog.getByText("That is not the name of this lock.").waitFor();
  expect(await release.isDisabled()).toBe(true);
  await dialog.getByLabel("Reason").press("Enter");
  await dialog.getByLabel("The lock's name").fill("orders/42");
  await dialog.getByLabel("Reason").fill(" ");
  expect(await release.isDisabled()).toBe(true);
  expect(held.signal.aborted).toBe(false);

  await dialog.getByLabel("Reason").fill("the job hangs");
  await dialog.getByLabel("Who you are").fill("ops");
  await release.click();
  await dialog.getByText("Released: the stream shows that it is gone.").waitFor();
  await next;
  expect(held.signal.reason).toBeInstanceOf(LockLostError);
  expect(held.signal.reason).toMatchObject({ forced: { actor: "ops", reason: "the job hangs" } });
  await dialog.getByRole("button", { name: "Close" }).click();
  await drawer.getByText(/worker-1, which held it with token \d+, by ops: the job hangs/).waitFor();
  await drawer.getByText("Holds it for").waitFor();
  expect(await drawer.locator(".tickets li").count()).toBe(1);
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
});

test("what the server refuses is shown, and nothing is taken for done", async () => {
  const { held } = await contend("orders/42");
  const { lock, drawer, dialog, page } = bound(await open());
  await page.route("**/metasrv.v1.AdminService/ForceRelease", (route) =>
    route.fulfill({
      status: 403,
      contentType: "application/json",
      body: JSON.stringify({ code: "permission_denied", message: "you may not use force" }),
    }),
  );
  await lock("orders/42").click();
  await drawer.getByRole("button", { name: "Release by force" }).first().click();
  await dialog.getByLabel("Reason").fill("a try");
  await dialog.getByLabel("The lock's name").fill("orders/42");
  await dialog.getByRole("button", { name: "Release by force" }).click();
  await dialog.getByText("It was not released: you may not use force").waitFor();
  expect(held.signal.aborted).toBe(false);
  shown?.complaints.splice(0);
});

test("shows who waits in a circle", async () => {
  const one = clientOf({ owner: "one", trackNesting: true });
  const other = clientOf({ owner: "other", trackNesting: true });
  let begin: () => void = () => undefined;
  const bothHold = new Promise<void>((resolve) => (begin = resolve));
  let holding = 0;
  const cross = (client: MetaClient, first: string, second: string) =>
    client
      .withLock(first, { ttlMs: 60_000 }, async () => {
        if (++holding === 2) {
          begin();
        }
        await bothHold;
        await client.withLock(second, { ttlMs: 60_000 }, () => Promise.resolve());
      })
      .catch(() => undefined);
  const ended = [cross(one, "a", "b"), cross(other, "b", "a")];
  const { page } = bound(await open());
  await page.getByRole("tab", { name: "Blocked" }).click();
  await page.locator(".circle li").first().waitFor();
  const steps = await page.locator(".circle li").allTextContents();
  expect(steps.toSorted()).toEqual(["one waits for b, which other has", "other waits for a, which one has"]);
  expect(await page.locator(".blocked ul li").count()).toBe(2);
  await page.locator(".circle").getByRole("button", { name: "b", exact: true }).click();
  await page.locator(".drawer .waits").getByText("one").waitFor();
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(ended);
});

test("names and owners of any kind are texts, and do nothing", async () => {
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  const client = clientOf({ owner: `${hostile}\u202Egnp` });
  const name = `${hostile}/${"x".repeat(300)}\u202E\u0000\n`;
  await client.lock(name, { ttlMs: 60_000, labels: { [hostile.slice(0, 40)]: hostile } });
  await client.lock(new Uint8Array([0x3c, 0x62, 0x3e, 0xff, 0x0a]), { ttlMs: 60_000 });
  const { lock, drawer, dialog, page } = bound(await open());
  await lock("<b>\\xff\\x0a").waitFor();
  const shownName = `${hostile}/${"x".repeat(300)}\\u{202e}\\u{0}\\u{a}`;
  await lock(shownName).click();
  await drawer.getByText(`${hostile}\\u{202e}gnp`).waitFor();
  await drawer.getByText(`${hostile.slice(0, 40)}: ${hostile}`).waitFor();
  expect(await drawer.locator("h2").textContent()).toBe(shownName);
  expect(await page.locator("img, b, #page script").count()).toBe(0);
  expect(await page.title()).toBe("metasrv");

  await lock("<b>\\xff\\x0a").click();
  await drawer.getByRole("button", { name: "Release by force" }).click();
  await dialog.getByLabel("Reason").fill(hostile);
  await dialog.getByLabel("The lock's name").fill("<b>\\xff\\x0a");
  await dialog.getByRole("button", { name: "Release by force" }).click();
  await dialog.getByText("Released: the stream shows that it is gone.").waitFor();
});

test("is used by keyboard alone", async () => {
  const { held } = await contend("orders/42");
  const { lock, page, drawer, dialog } = bound(await open());
  await lock("orders/42").waitFor();
  await page.locator("#locks").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await lock("orders/42").waitFor({ state: "detached" });
  expect(await page.locator("#active-row").getAttribute("aria-expanded")).toBe("false");
  await page.keyboard.press("Enter");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await drawer.locator(".tickets li").first().waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  expect(await focused()).toBe("orders/42");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Release by force…");
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  await page.keyboard.type("by hand");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("orders/42");
  await page.keyboard.press("Enter");
  await dialog.getByText("Released: the stream shows that it is gone.").waitFor();
  expect(held.signal.aborted).toBe(true);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("locks");
});

test("says how old it is when nothing comes from the server, refuses force then, and goes on by itself", async () => {
  await contend("orders/42");
  const { lock, drawer, dialog, page } = bound(await open());
  await lock("orders/42").click();
  await drawer.locator(".tickets li").first().getByRole("button").click();
  await dialog.getByLabel("Reason").fill("a try");
  await dialog.getByLabel("The lock's name").fill("orders/42");
  expect(await dialog.getByRole("button", { name: "Release by force" }).isEnabled()).toBe(true);

  await server.kill("SIGSTOP");
  await page.getByText(/This is what was \d+ s ago/).waitFor();
  await dialog.getByText("What is shown is stale.").waitFor();
  expect(await dialog.getByRole("button", { name: "Release by force" }).isEnabled()).toBe(false);
  expect(await lock("orders/42").evaluate((row) => getComputedStyle(row.closest(".grid") ?? row).filter)).toBe(
    "grayscale(1)",
  );
  await server.kill("SIGCONT");
  await page.locator("#stale").waitFor({ state: "detached" });
  expect(await dialog.getByRole("button", { name: "Release by force" }).isEnabled()).toBe(true);

  const { address } = server;
  await server.kill();
  await page.getByText(/The stream is broken: .*\. It is opened again\./).waitFor();
  server = await startMetasrv({ args: ["--bind-addr", address] });
  await page.locator("#stale").waitFor({ state: "detached" });
  // Its locks were in the memory of the server that is gone. Who waited asks again.
  await dialog.getByText("It has gone by itself meanwhile.").waitFor();
  await lock("orders/42").getByText("worker-2").waitFor();
});

test("asks for a token when the server wants one, and keeps it nowhere", async () => {
  await clientOf().lock("orders/42", { ttlMs: 60_000 });
  const context = await browser.newContext();
  await context.route("**/metasrv.v1.*/*", async (route) => {
    if ((await route.request().headerValue("authorization")) === "Bearer a secret") {
      await route.continue();
    } else {
      const body = JSON.stringify({ code: "unauthenticated", message: "a token is needed" });
      await route.fulfill({ status: 401, contentType: "application/json", body });
    }
  });
  const page = await context.newPage();
  await page.goto(`${server.url}/console/`);
  await page.getByLabel("Token").fill("a secret");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.locator(".row.lock").getByText("orders/42").waitFor();
  await page.getByLabel("Token").waitFor({ state: "detached" });
  expect(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie])).toEqual([0, 0, ""]);
  await context.close();
});

describe("with 10,000 locks", () => {
  const churners = 250;
  const rows = 10_000;

  beforeEach(async () => {
    const client = clientOf({ owner: "worker" });
    const options = { ttlMs: 600_000, keepAlive: false };
    await Promise.all(Array.from({ length: rows }, (_, n) => client.lock(`family-${n % 20}/${n}`, options)));
  }, 60_000);

  test("is there soon, has few rows in the document, and is fluid while 1,000 locks a second change", async () => {
    const { page, figure, lock } = bound(await open());
    await lock("family-0/0").waitFor();
    const firstMs = await page.evaluate(() => Math.round(performance.now()));
    await until(async () => (await figure("Locks").textContent()) === "10,000", {
      what: "all rows",
    });
    const allMs = await page.evaluate(() => Math.round(performance.now()));
    const drawn = await page.locator(".row").count();
    expect(drawn).toBeLessThan(60);
    await page.locator("#locks").press("End");
    await page.locator('[aria-rowindex="10021"]').waitFor();

    // Each takes a lock and gives it back twice a second: two changes each time.
    const churn = new AbortController();
    const client = clientOf({ owner: "churner" });
    let changes = 0;
    const run = async (n: number): Promise<void> => {
      while (!churn.signal.aborted) {
        const startedAtMs = performance.now();
        await (await client.lock(`family-${n % 20}/churn-${n}`, { ttlMs: 60_000, keepAlive: false })).release();
        changes += 2;
        const leftMs = 500 - (performance.now() - startedAtMs);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)));
      }
    };
    const runs = Array.from({ length: churners }, (_, n) => run(n));
    await until(() => changes > 1_000, { what: "the locks to change" });
    const before = changes;
    const tasks = await PageTasks.of(page);
    const { frames, longestMs, seconds } = await tasks.run(async () => {
      const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
      const beganAtMs = await frame();
      let [frames, longestMs, atMs] = [0, 0, beganAtMs];
      while (atMs - beganAtMs < 4_000) {
        const nextMs = await frame();
        longestMs = Math.max(longestMs, nextMs - atMs);
        atMs = nextMs;
        frames++;
      }
      return { frames, longestMs: Math.round(longestMs), seconds: (atMs - beganAtMs) / 1_000 };
    });
    const rate = (changes - before) / seconds;
    churn.abort();
    await Promise.all(runs);
    console.log(
      `console with ${rows} locks: first rows after ${firstMs} ms, all after ${allMs} ms, ${drawn} rows drawn; ` +
        `${Math.round(rate)} changes/s: ${Math.round(frames / seconds)} frames/s, longest frame ${longestMs} ms`,
    );
    expect(rate).toBeGreaterThan(500);
    expect(frames / seconds).toBeGreaterThan(20);
  }, 60_000);
});

test.each(["light", "dark"] as const)("is readable in %s", async (colorScheme) => {
  const folder = process.env.CONSOLE_IMAGES ?? (await mkdtemp(join(tmpdir(), "metasrv-console-")));
  try {
    const { held } = await contend("orders/42");
    const client = clientOf({ owner: "api-3:4312" });
    for (const name of ["orders/7", "orders/13", "reports/daily", "reports/weekly", "migrations"]) {
      await client.lock(name, { ttlMs: 600_000 });
    }
    await client.semaphore("uploads/disk", { limit: 4 }).acquire({ permits: 3, ttlMs: 600_000 });
    const { lock, drawer, page, figure } = bound(await open({ colorScheme }));
    await lock("orders/42").click();
    await drawer.getByText("worker-2").waitFor();
    await until(async () => (await figure("This server").textContent()) === "ready", { what: "the top line" });
    for (let samples = 0; samples < 3; samples++) {
      for (let n = 0; n < 10 * (samples + 1); n++) {
        await (await client.lock("orders/8", { ttlMs: 60_000 })).release();
      }
      await until(async () => Number(await figure("Grants/s").textContent()) > 0, { what: "grants" });
      await until(async () => Number(await figure("Grants/s").textContent()) === 0, { what: "the next sample" });
    }
    const path = join(folder, `console-${colorScheme}.png`);
    await page.screenshot({ path });
    expect((await stat(path)).size).toBeLessThan(150_000);
    // Text against ground, by the contrast that WCAG asks for.
    const ratios = await page.evaluate(contrasts, [
      ".row.lock span",
      ".tickets dd",
      ".figures dt",
      ".row.head span",
      "figcaption",
    ]);
    expect(Math.min(...ratios)).toBeGreaterThan(4.5);
    expect(held.signal.aborted).toBe(false);
  } finally {
    if (process.env.CONSOLE_IMAGES === undefined) {
      await rm(folder, { recursive: true });
    }
  }
});

/** Runs in the page: how much the text of each element stands out from what is behind it, 1 to 21. */
function contrasts(selectors: readonly string[]): number[] {
  const light = (color: string): number => {
    const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).slice(0, 3).map((part) => {
      const share = Number(part) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return selectors.map((selector) => {
    const element = document.querySelector(selector);
    if (element === null) {
      throw new Error(`there is no ${selector}`);
    }
    let behind: Element | null = element;
    while (behind !== null && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {
      behind = behind.parentElement;
    }
    const [one = 0, other = 0] = [
      light(getComputedStyle(element).color),
      light(behind === null ? "rgb(255, 255, 255)" : getComputedStyle(behind).backgroundColor),
    ].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  });
}

/** The parts of a page, to be taken out of it by name. */
function bound(page: ConsolePage) {
  return {
    page: page.page,
    drawer: page.drawer,
    dialog: page.dialog,
    lock: (name: string) => page.lock(name),
    rows: () => page.rows(),
    figure: (label: string) => page.figure(label),
  };
}

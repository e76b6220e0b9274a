import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import type { Browser, Page } from "playwright-core";
import { startChromium } from "../console-page.js";
import { WebApp } from "../web-app.js";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { clientIsWithout, clientTtlStepMs } from "./drivers/client-locks.js";
import { openPageLocks } from "./drivers/page-driver.js";

let etcd: Etcd;
let app: WebApp;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  etcd = await startEtcd();
  browser = await startChromium();
  app = await WebApp.start("./conformance/drivers/page-locks.js", "pageLocks");
  page = await app.open(browser);
}, 120_000);

describeLockConformance("client in a page of Chromium, on etcd", {
  open: () => openPageLocks(page, { endpoint: etcd.endpoint }),
  ttlStepMs: clientTtlStepMs,
  without: clientIsWithout,
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

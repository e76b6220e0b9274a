import type { Metasrv } from "@metasrv/testing";
import { findOrInstall } from "@metasrv/testing";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";

/** Starts Debian's Chromium: the one of `CHROMIUM_BIN` or of the PATH, else the one of its package. */
export async function startChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: await findOrInstall("chromium"),
    // The sandbox of Chromium refuses to run as root. What is shown here is our own.
    chromiumSandbox: process.getuid?.() !== 0,
  });
}

/** The console in a browser, as its user sees it. */
export class ConsolePage implements AsyncDisposable {
  readonly page: Page;
  /** What the browser has complained of: errors, and what the page's policy forbids. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    // Before a test's own time is over, so that it is said what was waited for.
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      // That the server cannot be reached is for tests to bring about.
      if (message.type() === "error" && !message.text().includes("net::ERR_")) {
        this.complaints.push(message.text());
      }
    });
  }

  static async open(
    browser: Browser,
    server: Pick<Metasrv, "url">,
    options: { readonly colorScheme?: "dark" | "light"; readonly token?: string } = {},
  ): Promise<ConsolePage> {
    const { colorScheme = "light" } = options;
    const page = await browser.newPage({ viewport: { width: 1100, height: 720 }, colorScheme });
    const opened = new ConsolePage(page);
    await page.goto(`${server.url}/console/`);
    return opened;
  }

  /** The row of a lock, by its name as it is shown. */
  lock(name: string): Locator {
    return this.page.locator(".row.lock", { has: this.page.getByText(name, { exact: true }) });
  }

  /** The names in the rows that can be seen, families included. */
  rows(): Promise<string[]> {
    return this.page.locator(".row:not(.head) > :first-child").allTextContents();
  }

  /** The lock that is shown with its queue. */
  get drawer(): Locator {
    return this.page.locator(".drawer");
  }

  get dialog(): Locator {
    return this.page.locator("dialog[open]");
  }

  /** A figure of the top line. */
  figure(label: string): Locator {
    return this.page.locator(".figure", { hasText: label }).locator("dd");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }
}

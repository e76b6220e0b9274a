import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";

/**
 * An application in a page that comes from elsewhere than the locks. The page is served and not made up by the browser's
 * driver: that one would answer in the server's place whether the page may call it.
 */
export class WebApp implements AsyncDisposable {
  /** What its pages run. */
  readonly bundle: string;
  readonly #server: Server;

  private constructor(bundle: string, server: Server) {
    this.bundle = bundle;
    this.#server = server;
  }

  /**
   * Bundles a module as applications do.
   *
   * @param module - a package, or a file of this folder
   * @param name - of the global variable that has its exports
   */
  static async start(module: string, name: string): Promise<WebApp> {
    const { outputFiles } = await build({
      stdin: {
        contents: `import * as all from ${JSON.stringify(module)}; globalThis.${name} = all;`,
        resolveDir: fileURLToPath(new URL(".", import.meta.url)),
      },
      bundle: true,
      platform: "browser",
      format: "esm",
      write: false,
    });
    const bundle = outputFiles[0]?.text ?? "";
    const server = createServer(({ url }, response) => {
      const isScript = url === "/app.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? bundle : '<!doctype html><script type="module" src="app.js"></script>');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new WebApp(bundle, server);
  }

  /** Where the pages come from. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Opens a page and waits until the module has run in it. */
  async open(browser: Browser): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(this.origin);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

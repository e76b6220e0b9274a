import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname } from "node:path";

/** A file of the page, as it is served. */
export interface ConsoleFile {
  /** Below the page's own address, such as `page/main.js`; empty for the page itself. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

/** The page and what it is made of. */
export interface ConsolePage {
  readonly files: readonly ConsoleFile[];
  /**
   * The Content-Security-Policy under which the page works: scripts and styles from its own server only, and none in the
   * page itself but the import map, which is named by its hash.
   */
  readonly policy: string;
}

const contentTypes: Partial<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** What the page loads of other packages. The import map of index.html names the same files. */
const vendored: Readonly<Record<string, string>> = {
  "vendor/preact.mjs": "preact",
  "vendor/hooks.mjs": "preact/hooks",
  "vendor/jsx-runtime.mjs": "preact/jsx-runtime",
  "vendor/uplot.js": "uplot/dist/uPlot.esm.js",
  "vendor/uplot.css": "uplot/dist/uPlot.min.css",
};

/**
 * Reads the page into memory.
 *
 * @throws Error when a file of the package is missing
 */
export async function readConsole(): Promise<ConsolePage> {
  const own = new URL("../static/", import.meta.url);
  const modules = new URL("../dist/page/", import.meta.url);
  const { resolve } = createRequire(import.meta.url);
  const html = await readFile(new URL("index.html", own));
  const sources: (readonly [path: string, source: URL | string])[] = [
    ["console.css", new URL("console.css", own)],
    ["icon.svg", new URL("icon.svg", own)],
    ...(await readdir(modules)).map((name) => [`page/${name}`, new URL(name, modules)] as const),
    ...Object.entries(vendored).map(([path, name]) => [path, resolve(name)] as const),
  ];
  const rest = sources.map(async ([path, source]) => file(path, await readFile(source)));
  return {
    files: [{ path: "", contentType: contentTypes[".html"] ?? "", body: html }, ...(await Promise.all(rest))],
    policy: policyFor(html.toString("utf8")),
  };
}

function file(path: string, body: Buffer): ConsoleFile {
  const contentType = contentTypes[extname(path)];
  if (contentType === undefined) {
    throw new Error(`${path} is of a kind that the console does not serve`);
  }
  return { path, contentType, body };
}

function policyFor(html: string): string {
  const { map } = /<script type="importmap">(?<map>[^]*?)<\/script>/.exec(html)?.groups ?? {};
  if (map === undefined) {
    throw new Error("the console's index.html has no import map");
  }
  const hash = createHash("sha256").update(map).digest("base64");
  return [
    "default-src 'self'",
    `script-src 'self' 'sha256-${hash}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
}

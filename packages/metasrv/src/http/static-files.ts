import { createHash } from "node:crypto";
import { type HttpRequest, type HttpResponse, sendText } from "./http-exchange.js";

/** A file that is served from memory. */
export interface StaticFile {
  /** Below the root; empty for the root itself. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface StaticFilesOptions {
  /** Where the files are; it begins and ends with a slash. */
  readonly root: string;
  readonly files: readonly StaticFile[];
  /** The Content-Security-Policy of all of them. */
  readonly policy: string;
}

/** Answers the request if its path is that of a file; else it returns `false` and does nothing. */
export type StaticHandler = (path: string, request: HttpRequest, response: HttpResponse) => boolean;

/** Serves files from memory. A browser asks each time whether a file is still the same, which costs no more than its name. */
export function createStaticHandler({ root, files, policy }: StaticFilesOptions): StaticHandler {
  const byPath = new Map(
    files.map((file) => [
      root + file.path,
      { ...file, etag: `"${createHash("sha256").update(file.body).digest("base64url")}"` },
    ]),
  );
  const common = {
    "cache-control": "no-cache",
    "content-security-policy": policy,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
  return (path, request, response) => {
    const file = byPath.get(path);
    if (file === undefined && path !== root.slice(0, -1)) {
      return false;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      sendText(request, response, 405, "Send a GET or a HEAD.\n");
    } else if (file === undefined) {
      // Relative, so that it is right behind a proxy that gives this server a folder of its own.
      response.setHeader("location", root.slice(1));
      sendText(request, response, 308, "");
    } else if (request.headers["if-none-match"] === file.etag) {
      response.writeHead(304, { ...common, etag: file.etag });
      response.end();
      request.resume();
    } else {
      response.writeHead(200, {
        ...common,
        etag: file.etag,
        "content-type": file.contentType,
        "content-length": file.body.length,
      });
      if (request.method === "HEAD") {
        response.end();
      } else {
        response.end(file.body);
      }
      request.resume();
    }
    return true;
  };
}

/** Answers whoever looks for files that are not served here. */
export function createMissingHandler(root: string, why: string): StaticHandler {
  return (path, request, response) => {
    const isThere = path === root.slice(0, -1) || path.startsWith(root);
    if (isThere) {
      sendText(request, response, 404, why);
    }
    return isThere;
  };
}

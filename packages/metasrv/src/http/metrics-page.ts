import type { Origin } from "../api/caller.js";
import type { MetricsPage } from "../metrics/exposition.js";
import { LockError } from "../model/lock-errors.js";
import type { HttpHandler } from "./http-exchange.js";

export interface MetricsHandlerOptions {
  /** The page, in the format that is asked for. */
  readonly page: (accept: string | undefined) => Promise<MetricsPage>;
  /** @throws LockError when whoever asks may not see it; absent: everybody may */
  readonly allow?: ((origin: Origin) => void) | undefined;
}

/** Answers GET and HEAD with the page of metrics. */
export function createMetricsHandler({ page, allow }: MetricsHandlerOptions): HttpHandler {
  return (request, response) => {
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD", "content-type": "text/plain; charset=utf-8" });
      response.end("Send a GET or a HEAD.\n");
      return;
    }
    try {
      const connection = "stream" in request ? request.stream.session : request.socket;
      allow?.({ method: "/metrics", authorization: request.headers.authorization, connection });
    } catch (error) {
      if (!(error instanceof LockError)) {
        throw error;
      }
      const status = error.reason === "unauthenticated" ? 401 : 403;
      response.writeHead(status, { "www-authenticate": "Bearer", "content-type": "text/plain; charset=utf-8" });
      response.end(`${error.message}\n`);
      return;
    }
    void page(request.headers.accept).then(({ contentType, text }) => {
      response.writeHead(200, { "content-type": contentType, "cache-control": "no-store" });
      response.end(request.method === "HEAD" ? "" : text);
    });
  };
}

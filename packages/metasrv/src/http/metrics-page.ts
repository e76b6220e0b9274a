import type { MetricsPage } from "../metrics/exposition.js";
import type { HttpHandler } from "./http-handler.js";

/** Answers GET and HEAD with the page of metrics, in the format that is asked for. */
export function createMetricsHandler(page: (accept: string | undefined) => Promise<MetricsPage>): HttpHandler {
  return (request, response) => {
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD", "content-type": "text/plain; charset=utf-8" });
      response.end("Send a GET or a HEAD.\n");
      return;
    }
    void page(request.headers.accept).then(({ contentType, text }) => {
      response.writeHead(200, { "content-type": contentType, "cache-control": "no-store" });
      response.end(request.method === "HEAD" ? "" : text);
    });
  };
}

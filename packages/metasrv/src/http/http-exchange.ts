import type { connectNodeAdapter } from "@connectrpc/connect-node";

/** Answers HTTP/1 and HTTP/2 requests. */
export type HttpHandler = ReturnType<typeof connectNodeAdapter>;

export type HttpRequest = Parameters<HttpHandler>[0];
export type HttpResponse = Parameters<HttpHandler>[1];

/** Answers with a text for people. What the request still sends is dropped. */
export function sendText(request: HttpRequest, response: HttpResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
  if (request.method === "HEAD") {
    response.end();
  } else {
    response.end(text);
  }
  request.resume();
}

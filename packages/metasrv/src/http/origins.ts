import { isIP } from "node:net";
import { cors } from "@connectrpc/connect";
import { z } from "zod";
import type { HttpRequest, HttpResponse } from "./http-exchange.js";

/** The section `cors`: which web pages may call this server, besides its own. */
export const corsSchema = z.strictObject({
  origins: z
    .array(
      z.string().refine(isOrigin, {
        error: ({ input }) =>
          `expected origins such as https://app.example.com, without a path and one by one; got "${String(input)}"`,
      }),
    )
    .describe("Origins of these pages, such as https://app.example.com."),
});

/** What {@link corsSchema} makes of the section. */
export type Cors = z.infer<typeof corsSchema>;

export interface OriginsOptions {
  /** Origins of web pages that may call this server. */
  readonly allowed: readonly string[];
  /** The host name under which this server is known, if it is configured. */
  readonly serverHost?: string | undefined;
}

/** How long a browser may remember what a page may do, in seconds. */
const rememberedS = "7200";

/** Headers of requests that a page of another origin may send. */
const requestHeaders = [...cors.allowedHeaders, "Authorization", "metasrv-route"].join(", ");

/**
 * Which web pages may call this server. A browser sends its user's requests for any page that the user looks at, from
 * wherever the user may be; so what says that it comes from a page of another origin is refused unless that is allowed. What
 * says nothing of an origin comes from no page, and is let through.
 */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #serverHost: string | undefined;

  constructor({ allowed, serverHost }: OriginsOptions) {
    this.#allowed = new Set(allowed);
    this.#serverHost = serverHost?.toLowerCase();
  }

  /** Whether a call may go on. If not, it was answered. */
  admits(request: HttpRequest, response: HttpResponse): boolean {
    const { origin } = request.headers;
    if (origin === undefined) {
      return true;
    }
    const isAllowed = this.#allowed.has(origin);
    if (!isAllowed && !this.#isOwn(origin, request)) {
      refuse(request, response, 403, "permission_denied", this.#advice(origin));
      return false;
    }
    if (isAllowed) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
      response.setHeader("vary", "Origin");
    }
    if (request.method === "OPTIONS") {
      response.setHeader("access-control-allow-methods", "POST");
      response.setHeader("access-control-allow-headers", requestHeaders);
      response.setHeader("access-control-max-age", rememberedS);
      response.writeHead(204);
      response.end();
      return false;
    }
    if (isConnect(request) && request.headers["connect-protocol-version"] !== "1") {
      // A form cannot set it.
      const message =
        "a call from a web page needs the header Connect-Protocol-Version: 1, which libraries of Connect send";
      refuse(request, response, 400, "invalid_argument", message);
      return false;
    }
    return true;
  }

  /**
   * Whether a page came from this server itself. That the page's host is the one that was asked is not enough: whoever owns a
   * domain can make it resolve to this server's address once the page is loaded. A page cannot be loaded so from an IP address,
   * from localhost, or from a name that its owner did not give away.
   */
  #isOwn(origin: string, request: HttpRequest): boolean {
    const page = urlOf(origin);
    const authority = "stream" in request ? request.headers[":authority"] : request.headers.host;
    const asked = page && urlOf(`${page.protocol}//${authority ?? ""}`);
    if (page === undefined || page.host !== asked?.host) {
      return false;
    }
    const { hostname } = page;
    return (
      isIP(hostname.replace(/^\[|\]$/g, "")) !== 0 ||
      hostname === "localhost" ||
      hostname.endsWith(".localhost") ||
      hostname === this.#serverHost
    );
  }

  #advice(origin: string): string {
    return (
      `web pages of ${JSON.stringify(origin.slice(0, 200))} may not call this server; if they are to, name the origin in ` +
      "--cors-origins"
    );
  }
}

function isConnect({ headers }: HttpRequest): boolean {
  return /^application\/(?:json|proto|connect\+)/i.test(headers["content-type"] ?? "");
}

function isOrigin(text: string): boolean {
  return /^https?:$/.test(urlOf(text)?.protocol ?? "") && urlOf(text)?.origin === text;
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function refuse(request: HttpRequest, response: HttpResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff" });
  response.end(JSON.stringify({ code, message }));
  request.resume();
}

import { checkBoolean, checkDurationMs, checkObject, checkText, invalid } from "./argument-checks.js";
import type { Protocol } from "./connection.js";
import { Credentials, type RequestHeaders, type Token } from "./credentials.js";
import type { LockTracer } from "./lock-tracer.js";
import { InvalidArgumentError } from "./meta-errors.js";
import { processName, tracksCheaply } from "./platform.js";
import { checkTls, type TlsOptions, type TlsSource } from "./tls-options.js";

/** Options of a `MetaClient`. */
export interface MetaClientOptions {
  /**
   * URLs of metasrv nodes of one cluster, such as `http://10.0.0.1:3002`; any of them serves every lock, and tells of the
   * others.
   */
  readonly endpoints: readonly string[];
  /**
   * Wire protocol over HTTP/2. Where HTTP/2 does not go all the way to the server, it is Connect's in any case. Default:
   * `"connect"`.
   */
  readonly protocol?: Protocol | undefined;
  /** By what people recognise this client when it holds a lock, 256 bytes at most. Default: `hostname:pid`. */
  readonly owner?: string | undefined;
  /**
   * How long, in milliseconds, no endpoint may be able to serve a call before it rejects with an `UnavailableError`. A
   * wait for a lock that a server keeps is never cut short by it. Default: 10000.
   */
  readonly unavailableAfterMs?: number | undefined;
  /**
   * In which order to use endpoints: a `"random"` one, which spreads many clients, or as `"listed"`. Default: `"random"`.
   */
  readonly firstEndpoint?: "random" | "listed" | undefined;
  /**
   * Whether to use, besides `endpoints`, the servers of which these tell, at the addresses that they have told of
   * themselves. `false` uses `endpoints` alone, as behind a proxy whose servers cannot be reached directly. Default: `true`.
   */
  readonly discover?: boolean | undefined;
  /**
   * Whether code inside of `withLock` and its kin is known to hold the lock: to ask for it again is an error at once, `current`
   * finds it, and servers are told of it, so that they find deadlocks. It costs little from Node 24 on. Default: true from Node
   * 24 on, else false.
   */
  readonly trackNesting?: boolean | undefined;
  /**
   * What `https` endpoints need beyond the authorities that Node knows, or a function that is asked for it before each
   * connection, so that certificates can be replaced.
   */
  readonly tls?: TlsOptions | (() => TlsOptions | Promise<TlsOptions>) | undefined;
  /**
   * Proves to servers who this client is, by `Authorization: Bearer`. A function is asked for each session and for each call
   * outside of one, and once more when a server does not accept what it gave.
   */
  readonly token?: Token | undefined;
  /** Whether the token may go to servers that are not on this machine without TLS, where others can read it. Default: false. */
  readonly allowInsecureToken?: boolean | undefined;
  /** Headers that each request has besides those of the protocol, such as what a proxy needs. */
  readonly headers?: RequestHeaders | undefined;
  /**
   * Makes spans of requests for locks and of holds, such as `trace.getTracer("orders")` of `@opentelemetry/api`. Default: there
   * are none.
   */
  readonly tracer?: LockTracer | undefined;
  /** Whether spans have the names of locks, which may be personal data or very many. Default: false. */
  readonly traceNames?: boolean | undefined;
}

/** {@link MetaClientOptions}, checked and complete. */
export interface ClientConfig {
  readonly endpoints: readonly string[];
  readonly protocol: Protocol;
  readonly owner: string;
  readonly unavailableAfterMs: number;
  readonly firstEndpoint: "random" | "listed";
  readonly discover: boolean;
  readonly trackNesting: boolean;
  readonly tracer: LockTracer | undefined;
  readonly traceNames: boolean;
  readonly tls: TlsSource;
  readonly credentials: Credentials;
}

const example = '"http://127.0.0.1:3002"';

/** @throws InvalidArgumentError that names the option and says what it should be */
export function checkClientOptions(options: unknown): ClientConfig {
  checkObject("options", options, `an object such as { endpoints: [${example}] }`);
  const given = options as Record<string, unknown>;
  const { endpoints, protocol, owner, unavailableAfterMs, firstEndpoint, tracer, ...flags } = given;
  if (!Array.isArray(endpoints) || endpoints.length === 0) {
    throw invalid("endpoints", `a list of at least one URL such as ${example}`, endpoints);
  }
  if (protocol !== undefined && protocol !== "connect" && protocol !== "grpc") {
    throw invalid("protocol", '"connect" or "grpc"', protocol);
  }
  if (firstEndpoint !== undefined && firstEndpoint !== "random" && firstEndpoint !== "listed") {
    throw invalid("firstEndpoint", '"random" or "listed"', firstEndpoint);
  }
  if (tracer !== undefined && !isTracer(tracer)) {
    throw invalid("tracer", 'a tracer such as trace.getTracer("orders") of @opentelemetry/api', tracer);
  }
  const urls = [...new Set(endpoints.map((endpoint, index) => checkEndpoint(`endpoints[${index}]`, endpoint)))];
  return {
    endpoints: urls,
    protocol: protocol ?? "connect",
    owner: checkText("owner", owner) ?? processName(),
    unavailableAfterMs: checkDurationMs("unavailableAfterMs", unavailableAfterMs, 1) ?? 10_000,
    firstEndpoint: firstEndpoint ?? "random",
    discover: checkBoolean("discover", flags.discover) ?? true,
    trackNesting: checkBoolean("trackNesting", flags.trackNesting) ?? tracksCheaply,
    tracer,
    traceNames: checkBoolean("traceNames", flags.traceNames) ?? false,
    ...checkSecurity(given, urls),
  };
}

function isTracer(tracer: unknown): tracer is LockTracer {
  return (
    typeof tracer === "object" && tracer !== null && "startSpan" in tracer && typeof tracer.startSpan === "function"
  );
}

/** @throws InvalidArgumentError also when the endpoints are such that an option would do nothing, or harm */
function checkSecurity(
  { tls, token, headers, allowInsecureToken }: Record<string, unknown>,
  urls: readonly string[],
): Pick<ClientConfig, "tls" | "credentials"> {
  if (tls !== undefined && !urls.some((url) => url.startsWith("https:"))) {
    throw new InvalidArgumentError(
      `tls is given, but no endpoint uses TLS: ${urls.join(", ")}. Begin the endpoints with "https://", or leave tls out.`,
    );
  }
  const credentials = new Credentials(token, headers, checkBoolean("allowInsecureToken", allowInsecureToken));
  const exposed = urls.find((url) => !credentials.mayGoTo(new URL(url)));
  if (exposed !== undefined) {
    throw new InvalidArgumentError(
      `token must not go to ${exposed}, where others can read it on its way. ` +
        'Use "https://", or say allowInsecureToken: true if nobody can listen there.',
    );
  }
  return { tls: checkTls(tls), credentials };
}

function checkEndpoint(argument: string, endpoint: unknown): string {
  const text = typeof endpoint === "string" ? endpoint : "";
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    const hint = /^[^/]+:\d+$/.test(text) ? ` (write "http://${text}")` : "";
    throw invalid(argument, `a URL such as ${example}${hint}`, endpoint);
  }
  const url = new URL(text);
  const surplus = Object.entries({
    "a user": url.username,
    "a password": url.password,
    "a query": url.search,
    "a fragment": url.hash,
  }).filter(([, part]) => part !== "");
  if (surplus.length > 0) {
    // They are not shown: they may be secret.
    throw new InvalidArgumentError(
      `${argument} must be a URL without user, password, query and fragment, but ${url.protocol}//${url.host}${url.pathname} ` +
        `came with ${surplus.map(([part]) => part).join(" and ")}. Leave that out.`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

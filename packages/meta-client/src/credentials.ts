import { Code, ConnectError } from "@connectrpc/connect";
import { invalid } from "./argument-checks.js";
import { InvalidArgumentError } from "./meta-errors.js";

/** Proves who a client is: a secret text, or a function that returns the one to use now. */
export type Token = string | (() => string | Promise<string>);

/** Headers of a client's own, or a function that returns them. */
export type RequestHeaders = Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);

// What the protocols themselves say in headers.
const ownHeaders =
  /^(?:authorization|connection|content-.*|host|keep-alive|te|trailer|transfer-encoding|upgrade|user-agent|accept-encoding|(?:connect|grpc|metasrv)-.*)$/i;

/**
 * What a client says of itself with its calls. Nothing of it is shown by `console.log`, and no error repeats it.
 */
export class Credentials {
  readonly #token: Token | undefined;
  readonly #headers: RequestHeaders;
  readonly #allowInsecure: boolean;

  /** @throws InvalidArgumentError that says what is expected */
  constructor(token?: unknown, headers: unknown = {}, allowInsecure = false) {
    if (token !== undefined && typeof token !== "function") {
      checkToken("token", token);
    }
    if (typeof headers !== "function") {
      checkHeaders("headers", headers);
    }
    this.#token = token as Token | undefined;
    this.#headers = headers as RequestHeaders;
    this.#allowInsecure = allowInsecure;
  }

  /** Whether a call that failed like this may succeed with other headers: there may be another token by now. */
  mayAskAgain(error: unknown): boolean {
    return typeof this.#token === "function" && ConnectError.from(error).code === Code.Unauthenticated;
  }

  /** Whether calls to that URL may carry the token: others on the way can read it where there is no TLS. */
  mayGoTo(url: URL): boolean {
    return this.#token === undefined || this.#allowInsecure || url.protocol === "https:" || isLoopback(url.hostname);
  }

  /**
   * The headers of a call, asked for anew.
   *
   * @throws InvalidArgumentError when a function returned something else; ConnectError when it threw
   */
  async headers(): Promise<Record<string, string>> {
    const headers =
      typeof this.#headers === "function"
        ? checkHeaders("headers()", await asked("headers()", this.#headers))
        : this.#headers;
    if (this.#token === undefined) {
      return { ...headers };
    }
    const token =
      typeof this.#token === "string" ? this.#token : checkToken("token()", await asked("token()", this.#token));
    return { ...headers, authorization: `Bearer ${token}` };
  }
}

/** Calls a function of the user. What it throws is no fault of this client; another try may succeed. */
async function asked<T>(name: string, ask: () => T | Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const why = error instanceof Error ? error.message : typeof error;
    throw new ConnectError(`${name} has failed: ${why}`, Code.Unavailable, undefined, undefined, new UserError(error));
  }
}

/** What a function of the user threw. */
class UserError extends Error {
  override readonly name = "UserError";

  constructor(cause: unknown) {
    super("a function among the client's options has failed", { cause });
  }
}

function checkToken(argument: string, token: unknown): string {
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) {
    return token;
  }
  // The message does not show it.
  const got = typeof token === "string" ? (token === "" ? "empty" : "a text with others") : `of type ${typeof token}`;
  throw new InvalidArgumentError(
    `${argument} must be a text of ASCII characters without spaces and line ends, but is ${got}. Trim what was read from a file.`,
  );
}

function checkHeaders(argument: string, headers: unknown): Readonly<Record<string, string>> {
  // What it is instead is not shown: it may be a token.
  if (typeof headers !== "object" || headers === null) {
    throw invalid(argument, 'an object such as { "x-tenant": "billing" }', typeof headers);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
      throw invalid(argument, "an object whose keys are names of headers", name);
    }
    if (ownHeaders.test(name)) {
      const instead = name.toLowerCase() === "authorization" ? "; give the option token" : "";
      throw new InvalidArgumentError(`${argument} must not set ${name}, which this client sets itself${instead}.`);
    }
    if (typeof value !== "string" || !/^[\t\x20-\x7e]*$/.test(value)) {
      throw new InvalidArgumentError(`${argument} must have an ASCII text as the value of ${name}, without line ends.`);
    }
  }
  return headers as Readonly<Record<string, string>>;
}

function isLoopback(hostname: string): boolean {
  return /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

import { endFlag, enveloped, envelopes } from "./envelopes.js";

/** What a server has refused, or that it cannot be reached. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Connect's name of the code, such as `unauthenticated`. */
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** What a server says of itself. */
export interface Readiness {
  readonly ready: boolean;
  /** What is wrong, in words. */
  readonly problems: readonly string[];
}

/** Calls of this page's own server, in Connect's JSON. */
export class Api {
  /** Sent with each call; undefined: none. It is nowhere but in the memory of this page. */
  token: string | undefined;
  readonly #root: URL;

  /** @param root - where the server's calls are, which need not be the root of its host */
  constructor(root: URL) {
    this.#root = root;
  }

  /**
   * One request, one answer.
   *
   * @param method - as service/method
   * @throws ApiError
   */
  async unary<Answer>(method: string, request: object, signal?: AbortSignal): Promise<Answer> {
    const response = await this.#post(method, "application/json", JSON.stringify(request), signal);
    return (await response.json()) as Answer;
  }

  /**
   * One request, many answers, until the server ends the stream.
   *
   * @throws ApiError; the signal's reason once that aborts
   */
  async *stream<Answer>(method: string, request: object, signal: AbortSignal): AsyncGenerator<Answer, void, undefined> {
    const message = enveloped(new TextEncoder().encode(JSON.stringify(request)));
    const response = await this.#post(method, "application/connect+json", message, signal);
    const text = new TextDecoder();
    try {
      for await (const { flags, message } of envelopes(chunksOf(response))) {
        const answer: unknown = JSON.parse(text.decode(message));
        if ((flags & endFlag) === 0) {
          yield answer as Awaited<Answer>;
          continue;
        }
        const { error } = answer as { readonly error?: WireError };
        if (error !== undefined) {
          throw refused(error);
        }
      }
    } catch (error) {
      throw error instanceof ApiError || signal.aborted ? error : unreachable(error);
    }
  }

  /** @throws ApiError */
  async readiness(signal?: AbortSignal): Promise<Readiness> {
    const response = await this.#fetch("readyz", { signal: signal ?? null });
    const lines = (await response.text()).split("\n").filter((line) => line !== "");
    return { ready: response.ok, problems: response.ok ? [] : lines.map((line) => line.replace(/^not ready: /, "")) };
  }

  async #post(
    method: string,
    contentType: string,
    body: string | Uint8Array<ArrayBuffer>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const headers = new Headers({ "content-type": contentType, "connect-protocol-version": "1" });
    if (this.token !== undefined) {
      headers.set("authorization", `Bearer ${this.token}`);
    }
    const response = await this.#fetch(method, { method: "POST", headers, body, signal: signal ?? null });
    if (!response.ok) {
      const text = await response.text();
      throw refused(wireErrorIn(text) ?? { code: "unknown", message: `${response.status}: ${text.slice(0, 500)}` });
    }
    return response;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, this.#root), { ...init, cache: "no-store", redirect: "error" });
    } catch (error) {
      throw init.signal?.aborted === true ? error : unreachable(error);
    }
  }
}

interface WireError {
  readonly code?: string;
  readonly message?: string;
}

function wireErrorIn(text: string): WireError | undefined {
  try {
    const error = JSON.parse(text) as WireError | null;
    return error?.code === undefined ? undefined : error;
  } catch {
    return undefined;
  }
}

function refused({ code = "unknown", message = "" }: WireError): ApiError {
  return new ApiError(code, message === "" ? code : message);
}

function unreachable(cause: unknown): ApiError {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  return new ApiError("unavailable", `the server cannot be reached${why}`, cause);
}

async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body?.getReader();
  try {
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      yield read.value;
    }
  } finally {
    // Whoever reads no further is not interested in why it broke.
    await reader?.cancel().catch(() => undefined);
  }
}

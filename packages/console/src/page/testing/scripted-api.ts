import { Api, ApiError, type Readiness } from "../api.js";

/** A stream that a test writes. */
export class ScriptedStream {
  readonly method: string;
  readonly request: unknown;
  readonly signal: AbortSignal;
  /** The token that it was opened with. */
  readonly token: string | undefined;
  readonly #said: unknown[] = [];
  #failure: Error | undefined;
  #ended = false;
  #wake = (): void => undefined;

  constructor(method: string, request: unknown, signal: AbortSignal, token?: string) {
    this.method = method;
    this.request = request;
    this.signal = signal;
    this.token = token;
    signal.addEventListener("abort", () => {
      this.fail(signal.reason as Error);
    });
  }

  say(message: object): void {
    this.#said.push(message);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  async *messages<Message>(): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      while (this.#said.length > 0) {
        yield this.#said.shift() as Awaited<Message>;
      }
      if (this.#failure !== undefined) {
        throw this.#failure;
      }
      if (this.#ended) {
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** A server of which a test says what it answers. */
export class ScriptedApi extends Api {
  /** All that were opened, in order. */
  readonly streams: ScriptedStream[] = [];
  /** The unary calls that came. */
  readonly calls: { readonly method: string; readonly request: object }[] = [];
  /** By method; none: the call fails. */
  readonly answers = new Map<string, object>();

  constructor() {
    super(new URL("http://console.test/"));
  }

  /** The stream of a method that was opened last. */
  latest(method: string): ScriptedStream {
    const found = this.streams.findLast((stream) => stream.method.endsWith(`/${method}`));
    if (found === undefined) {
      throw new Error(`no stream of ${method} was opened`);
    }
    return found;
  }

  override unary<Answer>(method: string, request: object): Promise<Answer> {
    this.calls.push({ method, request });
    const answer = this.answers.get(method.split("/")[1] ?? "");
    return answer === undefined
      ? Promise.reject(new ApiError("permission_denied", `no ${method} here`))
      : Promise.resolve(answer as Answer);
  }

  override stream<Answer>(
    method: string,
    request: object,
    signal: AbortSignal,
  ): AsyncGenerator<Answer, void, undefined> {
    const stream = new ScriptedStream(method, request, signal, this.token);
    this.streams.push(stream);
    return stream.messages<Answer>();
  }

  override readiness(): Promise<Readiness> {
    return Promise.resolve({ ready: true, problems: [] });
  }
}

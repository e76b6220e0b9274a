import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import type { Cancellation } from "./cancellation.js";
import type { Credentials } from "./credentials.js";

/**
 * In browsers, in place of connection.ts; see there. The browser makes the connections. What is under way can be told apart
 * only by ending it: each call ends with this connection.
 */
export class Connection {
  readonly transport: Transport;
  readonly protocol = "connect";
  readonly carrier = "attach-http1";
  readonly http1Why = "browsers stream one way only";
  readonly connected = true;
  readonly #credentials: Credentials;
  #calls = new AbortController();
  #ended = false;

  constructor({ endpoint, credentials }: { readonly endpoint: string; readonly credentials: Credentials }) {
    this.#credentials = credentials;
    this.transport = createConnectTransport({
      baseUrl: endpoint,
      useBinaryFormat: true,
      fetch: async (input, init) => {
        const signals = [this.#calls.signal, ...(init?.signal ? [init.signal] : [])];
        try {
          return readable(await fetch(input, { ...init, signal: AbortSignal.any(signals) }));
        } catch (error) {
          throw unreached(error);
        }
      },
    });
  }

  use(): void {
    // There is one way only.
  }

  transportOf(): Transport {
    return this.transport;
  }

  headers(): Promise<Record<string, string>> {
    return this.#credentials.headers();
  }

  mayAskAgain(error: unknown): boolean {
    return this.#credentials.mayAskAgain(error);
  }

  foundHttp1(): boolean {
    return false;
  }

  ready(scope: Cancellation): Promise<void> {
    scope.throwIfCancelled();
    return this.#ended ? Promise.reject(closed()) : Promise.resolve();
  }

  hold(): void {
    // A page ends when it is closed.
  }

  release(): void {
    // See hold.
  }

  close(reason = closed()): void {
    this.#calls.abort(reason);
    this.#calls = new AbortController();
  }

  end(): void {
    this.#ended = true;
    this.close();
  }
}

/** The response, whose body fails as {@link unreached} says. */
function readable(response: Response): Response {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) {
    return response;
  }
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
        } else {
          controller.enqueue(value);
        }
      } catch (error) {
        controller.error(unreached(error));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
}

/**
 * Browsers tell a page by a TypeError that a server cannot be reached, and not why. By its type it looks like a mistake in code,
 * after which no other server would be asked.
 */
function unreached(error: unknown): unknown {
  if (!(error instanceof TypeError)) {
    return error;
  }
  return new ConnectError(
    `the browser has no answer (${error.message}); its console says whether nobody listens there, its certificate is ` +
      "not trusted, or the page's origin is not among its --cors-origins",
    Code.Unavailable,
  );
}

function closed(): ConnectError {
  return new ConnectError("the client was closed", Code.Canceled);
}

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
  readonly connected = true;
  readonly #credentials: Credentials;
  #calls = new AbortController();
  #ended = false;

  constructor({ endpoint, credentials }: { readonly endpoint: string; readonly credentials: Credentials }) {
    this.#credentials = credentials;
    this.transport = createConnectTransport({
      baseUrl: endpoint,
      useBinaryFormat: true,
      fetch: (input, init) => {
        const signals = [this.#calls.signal, ...(init?.signal ? [init.signal] : [])];
        return fetch(input, { ...init, signal: AbortSignal.any(signals) });
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

function closed(): ConnectError {
  return new ConnectError("the client was closed", Code.Canceled);
}

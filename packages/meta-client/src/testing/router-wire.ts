import { fromBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { LockService, type SessionRequest, SessionRequestSchema } from "@metasrv/proto/metasrv/v1";
import type { SessionWire, SessionWireListener } from "../session-wire.js";

/** Wires to a lock service whose methods are the test's, without a network. */
export function routerWires(service: Partial<ServiceImpl<typeof LockService>>) {
  const client = createClient(
    LockService,
    createRouterTransport((router) => router.service(LockService, service)),
  );
  return (listener: SessionWireListener): Promise<SessionWire> => {
    const abort = new AbortController();
    const requests = new Requests();
    void read();
    return Promise.resolve({
      writable: true,
      write: (message) => {
        requests.push(message);
      },
      end: () => {
        requests.push(undefined);
      },
      cancel: () => {
        abort.abort();
        requests.push(undefined);
      },
    });

    async function read(): Promise<void> {
      try {
        for await (const response of client.session(requests.all(abort.signal), { signal: abort.signal })) {
          listener.message(response);
        }
        if (!abort.signal.aborted) {
          listener.closed(undefined);
        }
      } catch (error) {
        if (!abort.signal.aborted) {
          listener.closed(ConnectError.from(error));
        }
      }
    }
  };
}

class Requests {
  readonly #waiting: (Uint8Array | undefined)[] = [];
  #wake: () => void = () => undefined;

  push(message: Uint8Array | undefined): void {
    this.#waiting.push(message);
    this.#wake();
  }

  async *all(signal: AbortSignal): AsyncGenerator<SessionRequest> {
    for (;;) {
      // A mere end would tell the server that the client ended the session well.
      signal.throwIfAborted();
      if (this.#waiting.length === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else {
        const message = this.#waiting.shift();
        if (message === undefined) {
          return;
        }
        yield fromBinary(SessionRequestSchema, message);
      }
    }
  }
}

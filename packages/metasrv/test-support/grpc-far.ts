import { once } from "node:events";
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

/** A gRPC server whose every call a test answers by itself. */
export class Far implements AsyncDisposable {
  readonly #server: Http2Server = createServer();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** How many there have been. */
  calls = 0;
  /** How many connections there have been. */
  connections = 0;
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = () => undefined;

  static async start(): Promise<Far> {
    const far = new Far();
    far.#server.on("session", (session) => {
      far.connections++;
      far.#sessions.add(session);
    });
    far.#server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      far.calls++;
      far.answer(stream, headers);
    });
    far.#server.listen(0, "127.0.0.1");
    await once(far.#server, "listening");
    return far;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) {
      session.destroy();
    }
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Answers with these bytes and status. */
export function answer(
  stream: ServerHttp2Stream,
  bytes: readonly Buffer[],
  trailers: Record<string, string> = { "grpc-status": "0" },
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => {
    stream.sendTrailers(trailers);
  });
  for (const chunk of bytes) {
    stream.write(chunk);
  }
  stream.end();
}

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A reverse proxy that speaks HTTP/1.1 only, to its clients and to servers. Disposing of it breaks what is open. */
export class Http1Proxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Paths of the requests so far, without the server. */
  readonly paths: string[] = [];
  /** Whether to lose the answer to a request that the server has answered. */
  loses: (path: string) => boolean = () => false;

  private constructor() {
    this.#server = createServer((incoming, outgoing) => {
      this.#pass(incoming, outgoing);
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<Http1Proxy> {
    const proxy = new Http1Proxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The URL at which clients reach a server through this proxy. */
  to(url: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${new URL(url).host}`;
  }

  /** Breaks every connection of clients. */
  cut(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const [, host = "", ...rest] = (incoming.url ?? "").split("/");
    const path = `/${rest.join("/")}`;
    this.paths.push(path);
    const [hostname, port] = host.split(":");
    const { method, headers } = incoming;
    const passed = request({ hostname, port, path, method, headers: { ...headers, host }, agent: false }, (answer) => {
      if (this.loses(path)) {
        answer.resume();
        answer.on("end", () => incoming.socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on("error", () => outgoing.destroy());
      answer.on("aborted", () => outgoing.destroy());
    });
    passed.on("error", () => {
      if (outgoing.headersSent) {
        outgoing.destroy();
      } else {
        outgoing.writeHead(502).end();
      }
    });
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  }
}

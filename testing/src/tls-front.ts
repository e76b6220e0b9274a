import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer, type Server, type TlsOptions, type TLSSocket } from "node:tls";

/** How to start a {@link TlsFront}. */
export interface TlsFrontOptions extends Pick<TlsOptions, "cert" | "key" | "ca" | "requestCert"> {
  /** Where the plain bytes go, as host:port. */
  readonly target: string;
  /** What it says that it speaks; by default HTTP/2 and HTTP/1.1. */
  readonly protocols?: readonly string[];
}

/** A proxy that ends TLS before a server that speaks plaintext. Disposing of it cuts its connections. */
export class TlsFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Common names of the certificates that clients have shown, one for each connection; undefined for none. */
  readonly clients: (string | undefined)[] = [];

  private constructor({ target, protocols = ["h2", "http/1.1"], ...tls }: TlsFrontOptions) {
    const colon = target.lastIndexOf(":");
    const [host, port] = [target.slice(0, colon), Number(target.slice(colon + 1))];
    this.#server = createServer({ ...tls, ALPNProtocols: [...protocols] }, (client) => {
      this.#pass(client, connect({ host, port, noDelay: true }));
    });
    // A client that does not trust this certificate says so and goes.
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(options: TlsFrontOptions): Promise<TlsFront> {
    const front = new TlsFront(options);
    front.#server.listen(0, "127.0.0.1");
    await once(front.#server, "listening");
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where clients connect. */
  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Shows another certificate to those who connect from now on, and asks for those of other authorities. */
  replace(tls: Pick<TlsOptions, "cert" | "key" | "ca">): void {
    this.#server.setSecureContext(tls);
  }

  /** Breaks all connections that there are. */
  cut(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #pass(client: TLSSocket, upstream: Socket): void {
    const { subject } = client.getPeerCertificate() as { readonly subject?: { readonly CN?: string } };
    this.clients.push(subject?.CN);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}

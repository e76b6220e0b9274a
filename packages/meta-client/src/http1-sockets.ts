import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";
import type { Clock } from "@metasrv/wire";
import type { TlsSource } from "./tls-options.js";

export interface Http1SocketsOptions {
  /** Whether to use TLS. */
  readonly secure: boolean;
  /** Asked for each connection. */
  readonly tls: TlsSource;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** Whether the sockets should keep the process alive. */
  readonly holds: () => boolean;
}

/** The sockets of HTTP/1.1 to one endpoint. They are kept for further requests, as long as the server does. */
export class Http1Sockets {
  readonly agent: HttpAgent;
  readonly #options: Http1SocketsOptions;
  readonly #open = new Set<Socket>();

  constructor(options: Http1SocketsOptions) {
    this.#options = options;
    this.agent = options.secure
      ? // A TLS session that is resumed would go on with the certificates of the one before.
        new HttpsAgent({ keepAlive: true, maxCachedSessions: 0 })
      : new HttpAgent({ keepAlive: true });
    this.#watch(this.agent);
  }

  updateHold(): void {
    this.#open.forEach((socket) => {
      this.#hold(socket);
    });
  }

  /** Breaks every connection, and what is under way on it. */
  abort(reason: Error): void {
    for (const socket of this.#open) {
      socket.destroy(reason);
    }
  }

  /** An agent tells of its sockets only by calling these methods of its own. */
  #watch(agent: HttpAgent): void {
    const createConnection = agent.createConnection.bind(agent);
    agent.createConnection = (options, callback) => {
      this.#options.tls().then(
        (tls) => {
          const socket = createConnection({ ...options, ...tls }) as Socket;
          this.#opened(socket);
          callback?.(null, socket);
        },
        (error: unknown) => {
          (callback as ((error: unknown) => void) | undefined)?.(error);
        },
      );
      return undefined;
    };
    const reuseSocket = agent.reuseSocket.bind(agent);
    agent.reuseSocket = (socket, request) => {
      // Without this, any request would keep the process alive.
      reuseSocket(socket, request);
      if (socket instanceof Socket) {
        this.#hold(socket);
      }
    };
  }

  // Node has no limit of its own for connecting, and the kernel's is some two minutes.
  #opened(socket: Socket): void {
    const { clock, connectTimeoutMs, secure } = this.#options;
    this.#open.add(socket);
    this.#hold(socket);
    // Node does this for plain sockets only. Else the body of a request waits until its headers were acknowledged.
    socket.setNoDelay(true);
    const timer = clock.after(connectTimeoutMs, () => {
      socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`));
    });
    socket.once(secure ? "secureConnect" : "connect", () => {
      timer.cancel();
    });
    socket.once("close", () => {
      timer.cancel();
      this.#open.delete(socket);
    });
  }

  #hold(socket: Socket): void {
    if (this.#options.holds()) {
      socket.ref();
    } else {
      socket.unref();
    }
  }
}

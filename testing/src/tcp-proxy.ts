import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { freePorts } from "./free-port.js";
import { TcpPipe } from "./tcp-pipe.js";

/** Which way bytes flow. */
export type Direction = "toTarget" | "toClient";

/** How to start a proxy. */
export interface TcpProxyOptions {
  /** Where connections are passed on to, as host:port. */
  readonly target: string;
  /** Delay of every byte, in milliseconds, by direction. */
  readonly latencyMs?: Partial<Record<Direction, number>>;
  /** The address at which it listens; 127.0.0.1 when absent. */
  readonly listenAt?: string;
}

/** A network between a client and a server, with the faults that networks have. Disposing of it cuts and closes it. */
export interface TcpProxy extends AsyncDisposable {
  /** Where clients connect, as host:port. */
  readonly address: string;
  /** The same as a URL. */
  readonly url: string;
  /** Connections open now. */
  readonly connections: number;
  /** Bytes passed on so far. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Holds back all bytes of a direction, also of later connections. Nobody is told: a connection looks alive. */
  pause(direction: Direction): void;
  /** Lets what was held back go, in order. */
  resume(direction: Direction): void;
  /** Breaks all connections that there are; later ones are accepted. */
  cut(): void;
  /** Refuses new connections from now on; those that there are stay. */
  refuse(): void;
  /** Accepts connections again, at the same address. */
  accept(): Promise<void>;
  /** Changes the delay of bytes that come from now on. */
  setLatency(direction: Direction, latencyMs: number): void;
  /** Passes exactly this many more bytes to the target, then cuts all connections; resolves when it has done so. */
  cutAfterBytes(toTarget: number): Promise<void>;
}

const START_ATTEMPTS = 5;

/** Starts a proxy on a free port. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = await freePorts(1);
    const proxy = new Proxy(port, options);
    try {
      await proxy.accept();
      return proxy;
    } catch (error) {
      if (attempt === START_ATTEMPTS) {
        throw error;
      }
    }
  }
}

interface Connection {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly pipes: Readonly<Record<Direction, TcpPipe>>;
}

class Proxy implements TcpProxy {
  readonly address: string;
  readonly url: string;
  readonly bytes: Record<Direction, number> = { toTarget: 0, toClient: 0 };

  readonly #port: number;
  readonly #listenAt: string;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #paused: Record<Direction, boolean> = { toTarget: false, toClient: false };
  readonly #latencyMs: Record<Direction, number>;
  readonly #connections = new Set<Connection>();
  /** Both ends of all connections, including those that are cut but not closed yet. */
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #cutAfter: { left: number; readonly done: () => void } | undefined;

  constructor(port: number, { target, latencyMs, listenAt = "127.0.0.1" }: TcpProxyOptions) {
    const colon = target.lastIndexOf(":");
    this.#target = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
    this.#latencyMs = { toTarget: 0, toClient: 0, ...latencyMs };
    this.#port = port;
    this.#listenAt = listenAt;
    this.address = `${listenAt}:${port}`;
    this.url = `http://${this.address}`;
  }

  get connections(): number {
    return this.#connections.size;
  }

  pause(direction: Direction): void {
    this.#paused[direction] = true;
    for (const { pipes } of this.#connections) {
      pipes[direction].pause();
    }
  }

  resume(direction: Direction): void {
    this.#paused[direction] = false;
    for (const { pipes } of [...this.#connections]) {
      pipes[direction].resume();
    }
  }

  setLatency(direction: Direction, latencyMs: number): void {
    this.#latencyMs[direction] = latencyMs;
  }

  cut(): void {
    for (const connection of [...this.#connections]) {
      this.#break(connection);
    }
  }

  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async accept(): Promise<void> {
    if (this.#server !== undefined) {
      return;
    }
    const server = createServer({ allowHalfOpen: true }, (client) => {
      this.#connect(client);
    });
    server.listen(this.#port, this.#listenAt);
    await once(server, "listening");
    this.#server = server;
  }

  async cutAfterBytes(toTarget: number): Promise<void> {
    await new Promise<void>((done) => {
      this.#cutAfter = { left: toTarget, done };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    this.cut();
    const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await Promise.all(closed);
  }

  #connect(client: Socket): void {
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const connection: Connection = {
      client,
      upstream,
      pipes: {
        toTarget: this.#pipe("toTarget", client, upstream, (chunk) => this.#beforeTarget(connection, chunk)),
        toClient: this.#pipe("toClient", upstream, client, (chunk) => chunk),
      },
    };
    this.#connections.add(connection);
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", () => {
        this.#break(connection);
      });
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (client.closed && upstream.closed) {
          this.#connections.delete(connection);
        }
      });
    }
  }

  #pipe(direction: Direction, from: Socket, to: Socket, pass: (chunk: Buffer) => Buffer | undefined): TcpPipe {
    return new TcpPipe(from, to, {
      paused: this.#paused[direction],
      latencyMs: () => this.#latencyMs[direction],
      pass: (chunk) => {
        const passed = pass(chunk);
        this.bytes[direction] += passed?.length ?? 0;
        return passed;
      },
    });
  }

  /**
   * The part of a chunk that may go to the target; undefined when this method has sent it itself, because the
   * connection ends with it.
   */
  #beforeTarget(connection: Connection, chunk: Buffer): Buffer | undefined {
    const limit = this.#cutAfter;
    if (limit === undefined) {
      return chunk;
    }
    limit.left -= chunk.length;
    if (limit.left > 0) {
      return chunk;
    }
    this.#cutAfter = undefined;
    const last = chunk.subarray(0, chunk.length + limit.left);
    this.bytes.toTarget += last.length;
    this.#break(connection, last);
    this.cut();
    limit.done();
    return undefined;
  }

  /** Ends a connection at both ends; the target still gets the last bytes, if there are any. */
  #break(connection: Connection, last?: Buffer): void {
    const { client, upstream, pipes } = connection;
    this.#connections.delete(connection);
    pipes.toTarget.stop();
    pipes.toClient.stop();
    client.destroy();
    if (last === undefined) {
      upstream.destroy();
    } else {
      // If the socket were destroyed here while it has unread bytes, the kernel could drop what was sent last.
      upstream.resume();
      upstream.end(last, () => {
        upstream.destroySoon();
      });
    }
  }
}

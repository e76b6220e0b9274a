import type { ClientHttp2Stream } from "node:http2";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import type { Clock } from "@metasrv/wire";
import { type Cancellation, settledOrCancelled } from "./cancellation.js";
import { type CarrierKind, signOfHttp1 } from "./carrier.js";
import type { Credentials } from "./credentials.js";
import { Http1Sockets } from "./http1-sockets.js";
import { Http2Sessions } from "./http2-sessions.js";
import type { TlsSource } from "./tls-options.js";

/** The wire protocol over HTTP/2: Connect's own, or gRPC. Where HTTP/2 does not go all the way, it is Connect's. */
export type Protocol = "connect" | "grpc";

/** How a connection is made and watched. */
export interface ConnectionOptions {
  readonly endpoint: string;
  readonly protocol: Protocol;
  readonly tls: TlsSource;
  readonly credentials: Credentials;
  readonly clock: Clock;
  /**
   * How long making the connection may take. It must be more than `pingTimeoutMs`, because using an idle connection
   * again begins with a ping.
   */
  readonly connectTimeoutMs: number;
  /** How often the server of an open call is pinged. */
  readonly pingIntervalMs: number;
  /** How long the answer to a ping may take. */
  readonly pingTimeoutMs: number;
}

/** What a session and calls beside it need of a connection. */
export type EndpointConnection = Omit<Pick<Connection, keyof Connection>, "openStream" | "heard">;

/**
 * One HTTP/2 connection to an endpoint. It is made when it is first needed, and again whenever it was lost. Where HTTP/2 is
 * not spoken, a few connections of HTTP/1.1 take its place.
 *
 * Nothing here limits how long a call takes: pings find a dead server, and connect-node's idle timeout counts only
 * while no call is open.
 */
export class Connection {
  /** The way for calls that open no session, by what was found out of the endpoint so far. */
  readonly transport: Transport;
  readonly protocol: Protocol;
  readonly #endpoint: string;
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #sessions: Http2Sessions;
  readonly #http1: Http1Sockets;
  readonly #transports: Readonly<Record<CarrierKind, () => Transport>>;
  #carrier: CarrierKind = "stream";
  #http1Why = "";
  #opening: Promise<void> | undefined;
  #holds = 0;
  #ended = false;

  constructor(options: ConnectionOptions) {
    this.protocol = options.protocol;
    this.#endpoint = options.endpoint;
    this.#credentials = options.credentials;
    this.#clock = options.clock;
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#sessions = new Http2Sessions(
      options.endpoint,
      { pingIntervalMs: options.pingIntervalMs, pingTimeoutMs: options.pingTimeoutMs },
      options.tls,
      () => this.#holds > 0,
    );
    this.#http1 = new Http1Sockets({
      ...options,
      secure: new URL(options.endpoint).protocol === "https:",
      holds: () => this.#holds > 0,
    });
    const createTransport = options.protocol === "grpc" ? createGrpcTransport : createConnectTransport;
    const common = { baseUrl: options.endpoint, acceptCompression: [] };
    const overHttp2 = { ...common, httpVersion: "2" as const, sessionManager: this.#sessions };
    const asConfigured = createTransport(overHttp2);
    this.#transports = {
      stream: () => asConfigured,
      // Proxies that speak HTTP/1.x to the server lose the trailers of gRPC.
      "attach-http2": once(() => createConnectTransport(overHttp2)),
      "attach-http1": once(() =>
        createConnectTransport({ ...common, httpVersion: "1.1", nodeOptions: { agent: this.#http1.agent } }),
      ),
    };
    this.transport = {
      unary: (...call) => this.transportOf(this.#carrier).unary(...call),
      stream: (...call) => this.transportOf(this.#carrier).stream(...call),
    };
  }

  /** How the endpoint is reached, as far as was found out. */
  get carrier(): CarrierKind {
    return this.#carrier;
  }

  /** From now on, the endpoint is reached like this. */
  use(carrier: CarrierKind): void {
    this.#carrier = carrier;
  }

  /** The headers by which the server knows this client. They are asked for anew, as each call may have others. */
  headers(): Promise<Record<string, string>> {
    return this.#credentials.headers();
  }

  /** Whether a call may succeed with other {@link headers}: the server did not accept the token, and there may be another. */
  mayAskAgain(error: unknown): boolean {
    return this.#credentials.mayAskAgain(error);
  }

  transportOf(carrier: CarrierKind): Transport {
    return this.#transports[carrier]();
  }

  /**
   * Whether a failure shows that HTTP/1.1 is what the endpoint speaks. If so, calls use that from now on; nothing of the
   * failed call reached a server.
   */
  foundHttp1(error: unknown): boolean {
    const sign = signOfHttp1(error);
    if (this.#carrier === "attach-http1" || this.#sessions.spoken || sign === undefined) {
      return false;
    }
    this.#carrier = "attach-http1";
    this.#http1Why = sign;
    return true;
  }

  /** Why HTTP/1.1 is used, where it is. */
  get http1Why(): string {
    return this.#http1Why;
  }

  /** Whether the connection of HTTP/2 is there, in use or not. */
  get connected(): boolean {
    const state = this.#sessions.state();
    return state !== "closed" && state !== "error";
  }

  /**
   * Resolves once a request can be sent at once. Rejects with a ConnectError when there is no connection in time, and
   * with the scope's reason when the scope is cancelled.
   */
  async ready(scope: Cancellation): Promise<void> {
    scope.throwIfCancelled();
    if (this.#ended) {
      throw closed();
    }
    // Over HTTP/1.1, each request finds a connection or makes one.
    if (this.#sessions.state() === "open" || this.#carrier === "attach-http1") {
      return;
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await settledOrCancelled(this.#opening, scope);
  }

  /**
   * Opens a stream for a method whose messages the caller writes and reads.
   *
   * @param method - as in /package.Service/Method
   */
  openStream(method: string, headers: Record<string, string>): Promise<ClientHttp2Stream> {
    return this.#sessions.request("POST", new URL(this.#endpoint + method).pathname, headers, {});
  }

  /** Bytes came on a stream of {@link openStream}, so the server need not be pinged. */
  heard(stream: ClientHttp2Stream): void {
    this.#sessions.notifyResponseByteRead(stream);
  }

  /** Keeps the process alive while there is a connection, until {@link release} was called as often as this. */
  hold(): void {
    if (++this.#holds === 1) {
      this.#updateHold();
    }
  }

  /** Undoes one {@link hold}. */
  release(): void {
    if (--this.#holds === 0) {
      this.#updateHold();
    }
  }

  /** Breaks the connection and all calls on it. The next call makes another. */
  close(reason = closed()): void {
    this.#sessions.abort(reason);
    this.#http1.abort(reason);
  }

  /** As {@link close}, and later calls fail. */
  end(): void {
    this.#ended = true;
    this.close();
  }

  #updateHold(): void {
    this.#sessions.updateHold();
    this.#http1.updateHold();
  }

  // Node has no limit of its own for connecting, and the kernel's is some two minutes.
  async #open(): Promise<void> {
    let onLate: (late: ConnectError) => void = () => undefined;
    const late = new Promise<never>((_, reject) => (onLate = reject));
    const timer = this.#clock.after(this.#connectTimeoutMs, () => {
      const error = new ConnectError(`no connection within ${this.#connectTimeoutMs} ms`, Code.Unavailable);
      this.#sessions.abort(error);
      onLate(error);
    });
    try {
      if ((await Promise.race([this.#sessions.connect(), late])) === "error") {
        throw ConnectError.from(this.#sessions.error() ?? "the connection was closed", Code.Unavailable);
      }
    } finally {
      timer.cancel();
    }
  }
}

function once<T>(create: () => T): () => T {
  let created: T | undefined;
  return () => (created ??= create());
}

function closed(): ConnectError {
  return new ConnectError("the client was closed", Code.Canceled);
}

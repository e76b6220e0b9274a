import { createServer as createHttp1Server, type Server as Http1Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import type { ConnectError } from "@connectrpc/connect";
import { type Clock, closeOutsideOfReading, endOutsideOfReading } from "@metasrv/wire";
import type { Logger } from "pino";
import { endOf } from "../api/connection-end.js";
import { toConnectError } from "../api/rpc-errors.js";
import { type Address, formatAddress, isLoopback } from "../model/address.js";
import { LockError } from "../model/lock-errors.js";
import { FloodGuard } from "./flood-guard.js";
import type { HttpHandler } from "./http-exchange.js";
import { probeRegularly } from "./listener-probe.js";
import { detectProtocol, type HttpProtocol } from "./listener-protocol.js";
import { refuseCall } from "./refuse-call.js";
import { refuseConnection } from "./refuse-connection.js";
import { type NewStream, StreamGate } from "./stream-gate.js";
import type { StreamHandler } from "./stream-handler.js";
import { TlsHandshakes, type TlsHandshakesOptions } from "./tls-handshakes.js";

export interface ListenerOptions {
  /** Where to listen; port 0 lets the system choose. */
  readonly bind: Address;
  /** Answers requests of both versions. */
  readonly handler: HttpHandler;
  /** Gets each HTTP/2 request first, and may leave it to the handler; absent: the handler gets all. */
  readonly streamHandler?: StreamHandler;
  /** How many streams of one HTTP/2 connection may be open: calls without an answer, sessions and watches; 10,000 by default. */
  readonly maxStreams?: number;
  /** Largest message of a unary call; 1 MiB by default. */
  readonly maxMessageBytes?: number;
  /** Absent: no TLS. */
  readonly tls?: Pick<TlsHandshakesOptions, "settings" | "credentials"> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * How long a client may take for each of: the first bytes, the TLS handshake, the HTTP/1 headers, the HTTP/2 settings. In
   * milliseconds, 10,000 by default. Once a request was read, nothing here limits how long its answer takes.
   */
  readonly openingTimeoutMs?: number;
  /** How often HTTP/2 clients are pinged, in milliseconds; 10,000 by default. */
  readonly probeMs?: number;
  /** As `Math.random`, which it is by default. */
  readonly random?: () => number;
}

/**
 * How many connections may wait until this process accepts them; the system may allow fewer. With Node's 511, many clients that
 * come at once, as after a restart, would have theirs dropped, and send again after one second, three and seven.
 */
const backlog = 4_096;

/** How long an HTTP/1 client may take for a whole request, in milliseconds. */
const requestTimeoutMs = 60_000;

/** How long an idle HTTP/1 connection is kept, in milliseconds: longer than the 60 s of common proxies. */
const keepAliveTimeoutMs = 75_000;

/**
 * How often this server checks that a client is still there, so that no wait outlives its client: the system checks
 * after this much silence, and HTTP/2 pings check as often.
 */
const probeAfterMs = 10_000;

/**
 * Memory that one HTTP/2 connection may take, in megabytes. Node's default of 10 breaks the connection at about 15,000
 * open calls, and a call that waits for its lock is an open call.
 */
const sessionMemoryMb = 1_000;

/**
 * How many streams of one connection clients may reset, at once and then each second, before the connection is ended. Each
 * call that is cancelled is a reset, and many callers may share a connection: Node's own 1,000 at once and 33 a second are soon
 * used up by callers that give up waits. Node 20 knows only those.
 */
const streamResets: object = { streamResetBurst: 10_000, streamResetRate: 500 };

/** How many connections may have begun without it being known what they speak, or without a finished handshake. */
const mostOpening = 2_000;

/** So many streams beyond the limit get an answer that says so. Further ones are reset by Node, without cost. */
const refusedStreams = 1_000;

/** How long the calls of a connection that has become too old may take to end, in milliseconds. */
const leaveMs = 5_000;

/** Serves HTTP/1.1 and HTTP/2 on one port, with TLS and without. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #openingTimeoutMs: number;
  readonly #probeMs: number;
  readonly #server: Server;
  readonly #tls: TlsHandshakes | undefined;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<Socket>();
  /** Connections whose protocol is not known yet, or whose handshake is not done. */
  readonly #opening = new Set<Socket>();
  /** HTTP/1 connections with a request that was answered before it had arrived completely. */
  readonly #answeredEarly = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #guards = new WeakMap<ServerHttp2Session, FloodGuard>();
  #address: Address | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#openingTimeoutMs = options.openingTimeoutMs ?? 10_000;
    this.#probeMs = options.probeMs ?? probeAfterMs;
    const { tls } = options;
    this.#tls = tls && this.#createTls(tls);
    this.#http1 = this.#createHttp1();
    this.#http2 = this.#createHttp2();
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: probeAfterMs }, (socket) => {
      this.#connected(socket);
    });
  }

  /**
   * Starts to listen.
   *
   * @throws Error that says which address cannot be used, why, and what to do
   */
  static async start(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    await listener.#listen();
    return listener;
  }

  /** The address that it listens on, with the port that the system chose. */
  get address(): string {
    return formatAddress(this.#address ?? this.#options.bind);
  }

  /**
   * Stops accepting, closes idle connections, lets the open requests finish, and destroys what is left after the grace.
   *
   * @param graceMs - in milliseconds
   */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #listen(): Promise<void> {
    const { bind, logger } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const refused = (error: NodeJS.ErrnoException) => {
        reject(cannotListen(bind, error));
      };
      this.#server.once("error", refused);
      this.#server.listen({ port: bind.port, host: bind.host, backlog }, () => {
        this.#server.off("error", refused);
        resolve();
      });
    });
    this.#server.on("error", (error) => {
      logger.error({ err: error }, "a connection could not be accepted");
    });
    const bound = this.#server.address();
    if (bound !== null && typeof bound !== "string") {
      this.#address = { host: bind.host, port: bound.port };
    }
  }

  #createHttp1(): Http1Server {
    const server = createHttp1Server(
      {
        headersTimeout: this.#openingTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(this.#openingTimeoutMs, 5_000),
        keepAliveTimeout: keepAliveTimeoutMs,
      },
      this.#options.handler,
    );
    server.on("request", (request, response) => {
      const { socket } = request;
      response.once("finish", () => {
        if (this.#stopped !== undefined || endOf(socket).left) {
          socket.destroySoon();
        } else if (!request.complete) {
          this.#answeredEarly.add(socket);
        }
      });
      request.once("end", () => {
        this.#answeredEarly.delete(socket);
      });
    });
    // This server never listens itself. But Node watches over its time limits and idle connections only after this
    // event.
    server.emit("listening");
    return server;
  }

  #createHttp2(): Http2Server {
    const { handler, streamHandler = () => false } = this.#options;
    const { maxStreams = 10_000, logger } = this.#options;
    const server = createHttp2Server({
      maxSessionMemory: sessionMemoryMb,
      ...streamResets,
      settings: { maxConcurrentStreams: maxStreams + refusedStreams },
    });
    // These two never listen. They make requests and responses of the streams that the stream handler does not take.
    const requests = createHttp2Server(handler);
    const refusal = tooManyStreams(maxStreams, logger);
    const refused = createHttp2Server((request, response) => {
      refuseCall(request, response, refusal);
    });
    const serve = (...[stream, headers, ...rest]: NewStream) => {
      // Node reports a stream after it has read everything that arrived with it. By then, the stream or the connection
      // may have ended. Nobody can be answered then: an attempt would throw, and an error event without a listener
      // would end this process.
      if (stream.destroyed || stream.closed) {
        stream.on("error", (error) => {
          logger.debug({ err: error }, "a stream broke before it was served");
        });
        return false;
      }
      const { readableEnded } = stream;
      const taken = streamHandler(stream, headers);
      if (!taken) {
        requests.emit("stream", stream, headers, ...rest);
      }
      // Without a body, it ended while it waited for its turn, and nobody heard of that.
      if (readableEnded) {
        stream.emit("end");
      }
      return !taken;
    };
    const gate = new StreamGate({
      maxStreams,
      serve,
      refuse: (...stream) => {
        refused.emit("stream", ...stream);
      },
    });
    server.on("stream", (...stream: NewStream) => {
      closeOutsideOfReading(stream[0]);
      // The session of a stream that is closed already is gone.
      const { session } = stream[0];
      if (session === undefined) {
        serve(...stream);
      } else {
        this.#guards.get(session as ServerHttp2Session)?.opened(stream[0]);
        gate.enter(session as ServerHttp2Session, ...stream);
      }
    });
    return server;
  }

  #began(session: ServerHttp2Session, socket: Socket): void {
    const { clock, logger, maxMessageBytes = 1024 * 1024 } = this.#options;
    const { remoteAddress } = socket;
    endOutsideOfReading(session);
    this.#sessions.add(session);
    const flooded = () => {
      logger.warn({ remoteAddress }, "a connection was ended: its client floods it with cheap frames");
    };
    this.#guards.set(session, new FloodGuard(session, socket, { maxMessageBytes, clock, flooded }));
    if (session.encrypted === true) {
      this.#endWhenOld(session);
    }
    const timer = clock.after(this.#openingTimeoutMs, () => {
      session.destroy();
    });
    session.once("remoteSettings", () => {
      timer.cancel();
      probeRegularly(session, socket, { clock, everyMs: this.#probeMs });
    });
    session.once("close", () => {
      timer.cancel();
      this.#sessions.delete(session);
    });
  }

  #connected(socket: Socket): void {
    const { clock, logger } = this.#options;
    this.#sockets.add(socket);
    this.#makeRoom();
    this.#opening.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#opening.delete(socket);
      this.#answeredEarly.delete(socket);
    });
    socket.on("error", (error) => {
      logger.debug({ err: error }, "a connection broke");
    });
    detectProtocol(socket, { clock, timeoutMs: this.#openingTimeoutMs }, (protocol) => {
      if (protocol === "tls") {
        if (this.#tls !== undefined) {
          this.#tls.accept(socket);
          return;
        }
        // Clients of TLS report an answer without TLS as a wrong version number, which is known to mean just this.
        this.#refuse(socket, "http1", "This port does not speak TLS: use http:// instead of https://.");
      } else if (this.#needsTls(socket)) {
        this.#refuse(socket, protocol, "This port speaks TLS only: use https:// instead of http://.");
      } else {
        this.#opened(socket, protocol);
      }
      this.#opening.delete(socket);
    });
  }

  /** Who begins many connections and says nothing loses the oldest of them first. Others begin faster than that. */
  #makeRoom(): void {
    if (this.#opening.size >= mostOpening) {
      const [oldest] = this.#opening;
      const remoteAddress = oldest?.remoteAddress;
      oldest?.destroy();
      this.#options.logger.warn(
        { remoteAddress },
        "a connection was ended: too many have begun and say nothing, and it was the oldest",
      );
    }
  }

  #opened(socket: Socket, protocol: HttpProtocol): void {
    if (protocol === "http1") {
      this.#http1.emit("connection", socket);
      return;
    }
    const began = (session: ServerHttp2Session) => {
      this.#began(session, socket);
    };
    this.#http2.on("session", began);
    // Node makes the session meanwhile.
    this.#http2.emit("connection", socket);
    this.#http2.off("session", began);
  }

  #needsTls({ remoteAddress = "" }: Socket): boolean {
    const plaintext = this.#options.tls?.settings.plaintext;
    return plaintext === "refuse" || (plaintext === "loopback" && !isLoopback(remoteAddress));
  }

  #refuse(socket: Socket, protocol: HttpProtocol, sentence: string): void {
    const { remoteAddress } = socket;
    this.#options.logger.warn({ remoteAddress, answer: sentence }, "a connection was refused");
    refuseConnection(socket, protocol, sentence, this.#options.clock);
  }

  #createTls(tls: NonNullable<ListenerOptions["tls"]>): TlsHandshakes {
    const { clock, logger } = this.#options;
    return new TlsHandshakes({
      ...tls,
      clock,
      logger,
      timeoutMs: this.#openingTimeoutMs,
      done: (socket) => {
        this.#opening.delete(socket);
      },
      secured: (socket, protocol) => {
        socket.once("close", () => {
          this.#answeredEarly.delete(socket);
        });
        if (protocol === "http1") {
          this.#endWhenOld(socket);
        }
        this.#opened(socket, protocol);
      },
    });
  }

  /** Ends a connection with TLS when it has become too old, so that its client must show its certificate again. */
  #endWhenOld(carrier: ServerHttp2Session | Socket): void {
    const { clock, random = Math.random, tls } = this.#options;
    const { maxSessionAgeMs = 0 } = tls?.settings ?? {};
    if (maxSessionAgeMs === 0) {
      return;
    }
    // Connections that began together, as after a restart, do not end together.
    let timer = clock.after(maxSessionAgeMs * (1 - random() / 10), () => {
      endOf(carrier).leave();
      if ("goaway" in carrier) {
        carrier.close();
      }
      timer = clock.after(leaveMs, () => {
        carrier.destroy();
      });
    });
    carrier.once("close", () => {
      timer.cancel();
    });
  }

  async #stop(graceMs: number): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const socket of [...this.#opening, ...this.#answeredEarly]) {
      socket.destroy();
    }
    for (const session of this.#sessions) {
      session.close();
    }
    this.#http1.close();
    const timer = this.#options.clock.after(graceMs, () => {
      for (const socket of this.#sockets) {
        socket.destroy();
      }
    });
    await ended;
    timer.cancel();
  }
}

function tooManyStreams(maxStreams: number, logger: Logger): ConnectError {
  const message =
    `this connection has ${maxStreams} open streams already, as many as it may; wait for answers, use a session for many ` +
    "locks, or use another connection";
  return toConnectError(new LockError("too-many-streams", message), logger);
}

function cannotListen(bind: Address, error: NodeJS.ErrnoException): Error {
  const reasons: Partial<Record<string, string>> = {
    EADDRINUSE: "another process listens there; stop it, or choose another address or port",
    EADDRNOTAVAIL: "this machine does not have that address; choose one of its own, or 0.0.0.0 for all",
    EACCES: "this user may not use that port; choose one above 1023",
    ENOTFOUND: "the host name is not known; choose an address of this machine",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new Error(`cannot listen on ${formatAddress(bind)}: ${reason}`, { cause: error });
}

import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";
import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Credentials } from "../tls/credentials.js";
import type { ServerCredentials } from "../tls/server-credentials.js";
import type { TlsSettings } from "../tls/tls-settings.js";
import type { HttpProtocol } from "./listener-protocol.js";
import { refuseConnection } from "./refuse-connection.js";

export interface TlsHandshakesOptions {
  readonly settings: TlsSettings;
  readonly credentials: Pick<ServerCredentials, "current" | "onChange">;
  /** How long a handshake may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a handshake is done, before {@link secured} if the client is welcome. */
  readonly done: (socket: Socket) => void;
  /** Called with each connection whose client is welcome. */
  readonly secured: (socket: TLSSocket, protocol: HttpProtocol) => void;
}

/**
 * Makes TLS of connections.
 *
 * A client whose certificate is missing or not good gets an answer that says so, where a failed handshake would only be
 * an alert or a broken connection. Nothing that it sends is read.
 */
export class TlsHandshakes {
  readonly #options: TlsHandshakesOptions;
  readonly #server: Server;
  /** The connections whose handshakes are under way, by their clients' addresses: Node does not tell what is under TLS. */
  readonly #open = new Map<string, Socket>();

  constructor(options: TlsHandshakesOptions) {
    const { settings, credentials, timeoutMs, logger } = options;
    this.#options = options;
    // This server never listens itself.
    this.#server = createServer({
      ...this.#context(credentials.current),
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: timeoutMs,
      requestCert: settings.clientAuth !== "none",
      rejectUnauthorized: false,
    });
    this.#server.on("secureConnection", (socket) => {
      this.#secured(socket);
    });
    this.#server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      const { remoteAddress } = socket;
      // A handshake that takes too long does not end by itself.
      socket.destroy();
      if (error.code !== "ECONNRESET") {
        logger.warn({ err: error, remoteAddress }, "a TLS handshake failed");
      }
    });
    credentials.onChange = (changed) => {
      this.#server.setSecureContext(this.#context(changed));
    };
  }

  /** Begins the handshake on a connection of which nothing was consumed. */
  accept(socket: Socket): void {
    const address = addressOf(socket);
    this.#open.set(address, socket);
    socket.once("close", () => {
      this.#open.delete(address);
    });
    this.#server.emit("connection", socket);
  }

  #secured(socket: TLSSocket): void {
    const { clock, logger, done, secured } = this.#options;
    socket.on("error", (error) => {
      logger.debug({ err: error }, "a connection broke");
    });
    const address = addressOf(socket);
    const under = this.#open.get(address);
    if (under !== undefined) {
      this.#open.delete(address);
      done(under);
    }
    const protocol = socket.alpnProtocol === "h2" ? "http2" : "http1";
    const problem = this.#problemOf(socket);
    if (problem === undefined) {
      secured(socket, protocol);
    } else {
      const { remoteAddress } = socket;
      logger.warn({ remoteAddress, problem }, "a client was refused for its certificate");
      refuseConnection(socket, protocol, problem, clock);
    }
  }

  /** Why the client is not welcome, for people. */
  #problemOf(socket: TLSSocket): string | undefined {
    const { clientAuth } = this.#options.settings;
    if (clientAuth === "none") {
      return undefined;
    }
    if (socket.getPeerX509Certificate() === undefined) {
      return clientAuth === "require"
        ? "This server serves only clients with a certificate that it trusts: connect with one."
        : undefined;
    }
    return socket.authorized
      ? undefined
      : `This server does not trust the certificate of this client (${String(socket.authorizationError)}): use one that is ` +
          "valid now and signed by an authority that the server knows.";
  }

  #context({ cert, key, ca }: Credentials): SecureContextOptions {
    return {
      cert,
      key,
      // A change that left this out would make Node forget the authorities, and trust those of the system instead.
      ca,
      minVersion: this.#options.settings.minVersion,
      // A handshake that goes on with an earlier one's result would pass by a certificate that was withdrawn since.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    };
  }
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? ""}`;
}

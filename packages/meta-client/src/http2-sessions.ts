import { type ClientHttp2Session, constants, type Http2Session } from "node:http2";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { closeOutsideOfReading, endOutsideOfReading } from "@metasrv/wire";
import { ConnectionRefusal } from "./connection-trouble.js";
import type { TlsParameters, TlsSource } from "./tls-options.js";

/** How long a connection without calls is kept, in milliseconds. */
const idleConnectionTimeoutMs = 60_000;

/**
 * The HTTP/2 sessions of one endpoint, one after the other.
 *
 * The session manager of connect-node 2.1.2 takes its error listener off a session that it has destroyed, although Node
 * emits that error later. Closing just after a ping timed out would then end the process with an unhandled error.
 */
export class Http2Sessions extends Http2SessionManager {
  readonly #guarded = new WeakSet<ClientHttp2Session>();
  readonly #holds: () => boolean;
  #current: Http2Session | undefined;
  /** Whether the other side has said something in HTTP/2, on the newest connection. */
  spoken = false;
  /** Why the server does not serve a connection, where it has said so. */
  readonly #refusals = new WeakMap<Http2Session, ConnectionRefusal>();
  readonly #tls: TlsSource;
  /** What the next connection is made with, if it is with TLS. */
  #parameters: TlsParameters = {};

  /** @param holds - whether open calls should keep the process alive; without this class they all would, watches too */
  constructor(
    url: string,
    pings: { readonly pingIntervalMs: number; readonly pingTimeoutMs: number },
    tls: TlsSource,
    holds: () => boolean,
  ) {
    const { protocol, hostname, port } = new URL(url);
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const createConnection = () =>
      connect({
        host,
        port: Number(port) || 443,
        ALPNProtocols: ["h2"],
        // An address is no name that TLS could ask for. It is checked against the certificate all the same.
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...this.#parameters,
      });
    // By default, connect-node keeps a closed connection for as long as it may be idle, which is fifteen minutes.
    super(url, { ...pings, idleConnectionTimeoutMs }, protocol === "https:" ? { createConnection } : undefined);
    this.#tls = tls;
    this.#holds = holds;
  }

  override async connect(): ReturnType<Http2SessionManager["connect"]> {
    await this.#prepare();
    return super.connect();
  }

  updateHold(): void {
    if (this.#current === undefined || this.#current.destroyed) {
      return;
    }
    if (this.#holds()) {
      this.#current.ref();
    } else {
      this.#current.unref();
    }
  }

  override async request(
    ...args: Parameters<Http2SessionManager["request"]>
  ): ReturnType<Http2SessionManager["request"]> {
    await this.#prepare();
    const stream = await super.request(...args);
    closeOutsideOfReading(stream);
    const session = stream.session;
    this.#current = session;
    this.updateHold();
    // Node tells of the refusal of a connection only by a code, and of its streams by another. Whoever handles this error next
    // finds the server's own words in it.
    stream.once("error", (error: Error) => {
      error.cause ??= session && this.#refusals.get(session);
    });
    if (session !== undefined && !this.#guarded.has(session as ClientHttp2Session)) {
      this.#guarded.add(session as ClientHttp2Session);
      endOutsideOfReading(session);
      this.spoken = false;
      session.once("remoteSettings", () => (this.spoken = true));
      session.once("goaway", (code: number, _lastStream: number, words?: Uint8Array) => {
        if (code === constants.NGHTTP2_INADEQUATE_SECURITY) {
          this.#refusals.set(session, new ConnectionRefusal(words));
        }
      });
      session.on("error", () => undefined);
    }
    return stream;
  }

  /** Asks for the certificates if there will be a new connection: they are replaced while a client lives. */
  async #prepare(): Promise<void> {
    const state = this.state();
    if (state === "closed" || state === "error" || this.#current?.closed === true) {
      this.#parameters = await this.#tls();
    }
  }
}

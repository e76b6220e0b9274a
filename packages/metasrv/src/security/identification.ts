import { isIPv4, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Connection, Origin } from "../api/caller.js";
import { canceled } from "../api/caller.js";
import { type CertificateName, certificateNames } from "./certificate-names.js";
import type { Directory } from "./directory.js";
import type { ProvenIdentity } from "./principal.js";
import { unauthenticated } from "./refusals.js";

/** What is looked at of a connection. Only TLS has the latter. */
type Peer = Pick<Socket, "remoteAddress" | "remotePort"> &
  Partial<Pick<TLSSocket, "encrypted" | "authorized" | "getPeerCertificate">>;

/** Finds out who sends requests. */
export class Identification {
  readonly #directory: Directory;
  readonly #plainTokens: boolean;
  /** To read a certificate takes longer than to serve a request; null for none. */
  readonly #certificates = new WeakMap<Connection, readonly CertificateName[] | null>();

  /** @param plainTokens - whether tokens are taken that came over a network without TLS */
  constructor(directory: Directory, plainTokens: boolean) {
    this.#directory = directory;
    this.#plainTokens = plainTokens;
  }

  /**
   * Whom a request comes from. A token counts more than a certificate: a proxy has a certificate of its own, and its clients
   * have tokens. Who shows either is not anonymous, even if it is nobody's.
   *
   * @throws LockError `unauthenticated`
   */
  identify({ authorization, connection }: Origin): ProvenIdentity {
    if (authorization !== undefined) {
      return this.#byToken(authorization, connection);
    }
    const names = connection === undefined ? null : this.#certificateNames(connection);
    const identity = names === null ? this.#directory.anonymous : this.#directory.byCertificate(names);
    if (identity === undefined) {
      throw unauthenticated(whyNobody(names));
    }
    return identity;
  }

  #byToken(authorization: string, connection: Connection | undefined): ProvenIdentity {
    const { token } = /^Bearer +(?<token>\S+) *$/i.exec(authorization)?.groups ?? {};
    if (token === undefined) {
      throw unauthenticated('the header "authorization" is not "Bearer" with a token');
    }
    if (!this.#plainTokens && connection !== undefined && !isPrivate(peerOf(connection))) {
      throw unauthenticated(
        "the token came over a network without TLS, where others can read it: this server takes it by TLS only; replace the " +
          "token, and connect by TLS",
      );
    }
    const identity = this.#directory.byToken(token);
    if (identity === undefined) {
      throw unauthenticated("the token is none of a principal here");
    }
    return identity;
  }

  /** The names in the client's certificate; null when it has shown none that is good. */
  #certificateNames(connection: Connection): readonly CertificateName[] | null {
    let names = this.#certificates.get(connection);
    if (names === undefined) {
      const peer = peerOf(connection);
      const certificate = peer.authorized === true ? peer.getPeerCertificate?.() : undefined;
      names = certificate === undefined ? null : certificateNames(certificate.subjectaltname ?? "");
      this.#certificates.set(connection, names);
    }
    return names;
  }
}

function whyNobody(names: readonly CertificateName[] | null): string {
  if (names === null) {
    return "the request shows neither a token nor a client certificate";
  }
  return names.length === 0
    ? "the client certificate has no name that can be a principal's: neither a URI, nor a DNS name, nor an email address"
    : `the client certificate is of ${names.join(", ")}, which is no principal here`;
}

/** The address of a connection's other end, for people; undefined when it is closed. */
export function addressOf(connection: Connection | undefined): string | undefined {
  if (connection === undefined || connection.destroyed) {
    return undefined;
  }
  const { remoteAddress = "", remotePort } = peerOf(connection);
  return isIPv4(remoteAddress) ? `${remoteAddress}:${remotePort}` : `[${remoteAddress}]:${remotePort}`;
}

/** @throws LockError `canceled` when it is closed */
function peerOf(connection: Connection): Peer {
  if (connection.destroyed) {
    throw canceled();
  }
  return "socket" in connection ? connection.socket : connection;
}

/** Whether nobody else can read what comes from there. */
function isPrivate({ encrypted, remoteAddress = "" }: Peer): boolean {
  return encrypted === true || /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress);
}

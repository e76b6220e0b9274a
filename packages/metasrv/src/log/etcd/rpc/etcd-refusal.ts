import type { EtcdAccess } from "./etcd-access.js";

/**
 * etcd is there, and does not let this server do what it must; or this server does not trust it. That ends only when someone
 * changes something, which the message says.
 */
export class EtcdRefusal extends Error {
  override readonly name = "EtcdRefusal";
  /** What it is about: a certificate may be that of one member alone. */
  readonly about: "user" | "certificate";

  constructor(about: "user" | "certificate", message: string, cause?: unknown) {
    super(message, { cause });
    this.about = about;
  }
}

/** A token is not taken any more, as when it has lapsed, or a user was changed: a new one may be. */
export function isStaleToken({ message }: Error): boolean {
  return (
    message.includes("invalid auth token") ||
    message.includes("revision of auth store is old") ||
    message.includes("user name is empty")
  );
}

/** What an error of a call says in words for people, if it is a refusal; the error itself otherwise. */
export function explained(error: Error, access: EtcdAccess): Error {
  const { message, cause } = error;
  const user = aboutUser(message, access);
  if (user !== undefined) {
    return new EtcdRefusal("user", `${user} (${message})`, error);
  }
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  const certificate = aboutCertificate(code, access);
  if (certificate !== undefined) {
    // OpenSSL's own text begins with an address in memory.
    const detail = code.startsWith("ERR_SSL_") ? code : message;
    return new EtcdRefusal("certificate", `${certificate} (${detail})`, error);
  }
  return error;
}

function aboutUser(message: string, { username, passwordFile }: EtcdAccess): string | undefined {
  const who = username === undefined ? "the user of its certificate" : `the user ${JSON.stringify(username)}`;
  if (message.includes("invalid user ID or password")) {
    return (
      `etcd has not ${who}, or another password for it: put the right one into ${passwordFile}, which is read anew each ` +
      "time, or set it in etcd with etcdctl user add or etcdctl user passwd"
    );
  }
  if (message.includes("user name is empty")) {
    return (
      "etcd asks who this server is, and was not told: set store.username and store.passwordFile (--store-username, " +
      "--store-password-file), or give a certificate with the name of a user of etcd (--store-tls-cert, --store-tls-key)"
    );
  }
  if (message.includes("etcdserver: permission denied")) {
    return (
      `etcd does not let ${who} read and write all keys under the prefix: grant its role that with etcdctl role ` +
      "grant-permission <role> readwrite --prefix=true <prefix>/"
    );
  }
  return undefined;
}

function aboutCertificate(code: string, { tls }: EtcdAccess): string | undefined {
  if (/^(?:UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_|INVALID_CA|CERT_SIGNATURE_FAILURE)/.test(code)) {
    return tls?.ca === undefined
      ? "etcd's certificate is signed by nobody whom this server trusts: give the certificate of the authority that has signed " +
          "it as store.tls.ca (--store-tls-ca)"
      : `etcd's certificate is not signed by an authority in ${tls.ca}: put the certificate of the right one there`;
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return "etcd's certificate is not valid now: renew it at etcd, and look whether the clocks are right";
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "etcd's certificate is for other names: list the addresses of etcd by names or IP addresses that are in its certificate";
  }
  if (/_ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return tls?.cert === undefined
      ? "etcd asks for a certificate of this server: give one as store.tls.cert and store.tls.key (--store-tls-cert, --store-tls-key)"
      : `etcd does not take the certificate in ${tls.cert}: it must be valid now, for use by clients, and signed by an authority ` +
          "that etcd trusts (--trusted-ca-file)";
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return "etcd is asked by https://, and speaks no TLS there: write http://, without options of TLS, or give etcd a certificate";
  }
  return undefined;
}

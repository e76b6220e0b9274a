const untrusted = "its certificate is of no authority that this client trusts; give that authority's in tls.ca";
const noTls = 'it does not speak TLS; begin the endpoint with "http://" if that is right';
const unknownClient = "it asks for a certificate of this client; give tls.cert and tls.key";

const insecure =
  'it refuses connections like this; begin the endpoint with "https://", and give tls.cert and tls.key if it asks for a ' +
  "certificate; its log says what was missing";

/** What Node says of a GOAWAY with the code INADEQUATE_SECURITY. It does not tell the text that comes with it. */
const inadequateSecurity = "Session closed with error code 12";

// By the codes of Node and OpenSSL, whose texts say little to whoever does not know them.
const meanings: Readonly<Record<string, string>> = {
  CERT_SIGNATURE_FAILURE: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; compare the clocks",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for other names than that of the endpoint; see tls.serverName",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: unknownClient,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: unknownClient,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "it does not trust the authority of this client's certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "this client's certificate has expired",
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
};

/** What a fault of TLS means, in words for people; undefined when an error is none, or speaks for itself. */
export function tlsTrouble(error: unknown): string | undefined {
  for (let cause: unknown = error; typeof cause === "object" && cause !== null; cause = (cause as Error).cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (message === inadequateSecurity) {
      return insecure;
    }
    if (typeof code === "string" && Object.hasOwn(meanings, code)) {
      const [line = ""] = message.split("\n");
      return `${meanings[code] ?? ""} (${line})`;
    }
  }
  return undefined;
}

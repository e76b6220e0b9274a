const untrusted = "its certificate is of no authority that this client trusts; give that authority's in tls.ca";
const noTls = 'it does not speak TLS; begin the endpoint with "http://" if that is right';
const unknownClient = "it asks for a certificate of this client; give tls.cert and tls.key";

const refusedPlain = 'it refuses connections without TLS; begin the endpoint with "https://"';
const refusedClient = "it refuses this client; give tls.cert and tls.key of a certificate that it trusts";

/** Why a server does not serve a connection, in its own words: the text of its GOAWAY. */
export class ConnectionRefusal extends Error {
  override readonly name = "ConnectionRefusal";

  constructor(words: Uint8Array | undefined) {
    super(new TextDecoder().decode(words));
  }
}

// By the codes of Node and OpenSSL, whose texts say little to whoever does not know them.
const meaningsOfCodes: Readonly<Record<string, string>> = {
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

/** By these, a server says that it asks for a certificate, or does not accept the one that it was shown. */
const refusalsOfCertificates: ReadonlySet<string> = new Set([
  "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
  "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
  "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
]);

/** What Node says of a GOAWAY with the code INADEQUATE_SECURITY if no stream was open. It does not tell the text. */
const refusedWithoutWords = "Session closed with error code 12";

const meaningsOfTexts: readonly (readonly [text: string, meaning: string])[] = [
  ["PING timed out", "it does not answer on the connection"],
  ["http/2 stream closed with error code CANCEL", "it ended the call without an answer"],
  ["Parse Error: ", "it speaks neither HTTP/2 nor HTTP/1.1"],
];

/** What errors of Node, OpenSSL and Connect have beside a message. */
interface Trouble extends NodeJS.ErrnoException {
  /** OpenSSL's; its message tells besides where its source has found the fault. */
  readonly reason?: string;
  /** Connect's message without the code before it. */
  readonly rawMessage?: string;
}

/**
 * What the failure of a connection means, in words for people; undefined when an error is none, or speaks for itself.
 *
 * @param endpoint - the URL that was connected to
 */
export function connectionTrouble(error: unknown, endpoint: string): string | undefined {
  const refused = endpoint.startsWith("https:") ? refusedClient : refusedPlain;
  for (const { code, text, reason, isRefusal } of troublesIn(error)) {
    const known = Object.hasOwn(meaningsOfCodes, code) ? meaningsOfCodes[code] : undefined;
    const meaning = isRefusal ? refused : (known ?? meaningsOfTexts.find(([start]) => text.startsWith(start))?.[1]);
    if (meaning !== undefined) {
      const [line = ""] = text.split("\n");
      return `${meaning} (${code.startsWith("ERR_SSL_") ? (reason ?? line) : line})`;
    }
  }
  return undefined;
}

/** Whether an endpoint failed because its server does not accept the certificate of this client, or its having none. */
export function refusesCertificate(endpoint: string, error: unknown): boolean {
  // A server refuses a connection with TLS for nothing else, and one without TLS for that alone.
  const secure = endpoint.startsWith("https:");
  for (const { code, isRefusal } of troublesIn(error)) {
    if (refusalsOfCertificates.has(code) || (secure && isRefusal)) {
      return true;
    }
  }
  return false;
}

/** An error and its causes. */
function* troublesIn(error: unknown): Generator<{
  readonly code: string;
  readonly text: string;
  readonly reason: string | undefined;
  /** Whether the server has refused the connection by GOAWAY. */
  readonly isRefusal: boolean;
}> {
  for (let cause: unknown = error; typeof cause === "object" && cause !== null; cause = (cause as Error).cause) {
    const { code, reason, message, rawMessage: text = message } = cause as Trouble;
    const isRefusal = cause instanceof ConnectionRefusal || text.startsWith(refusedWithoutWords);
    // Connect's codes are numbers.
    yield { code: String(code), text, reason, isRefusal };
  }
}

import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { inspect } from "node:util";
import { checkText, invalid } from "./argument-checks.js";
import { InvalidArgumentError } from "./meta-errors.js";

/** Certificates or a key in PEM: text, or the bytes of a file. */
export type Pem = string | Uint8Array;

/** What TLS needs beyond what Node has. */
export interface TlsOptions {
  /** Certificates of the authorities to trust, in place of those that Node knows. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** The certificate by which servers know this client, with those between it and its authority. Needs `key`. */
  readonly cert?: Pem | undefined;
  /** The private key of `cert`. */
  readonly key?: Pem | undefined;
  /** The name that certificates of servers must be for. Default: the host of the endpoint, or the address of the member. */
  readonly serverName?: string | undefined;
}

/** What a connection is made with, as `tls.connect` takes it. */
export interface TlsParameters {
  readonly secureContext?: SecureContext;
  readonly servername?: string;
}

/** Gives what the next connection is made with. Rejects with an InvalidArgumentError, or as the user's function does. */
export type TlsSource = () => Promise<TlsParameters>;

const known = ["ca", "cert", "key", "serverName"];
const example = "an object such as { ca }, or a function that returns one";

/** @throws InvalidArgumentError that says what is wrong; it shows no key */
export function checkTls(tls: unknown): TlsSource {
  if (typeof tls === "function") {
    const ask = tls as () => unknown;
    return async () => parametersOf(await ask());
  }
  const parameters = tls === undefined ? {} : parametersOf(tls);
  return () => Promise.resolve(parameters);
}

function parametersOf(tls: unknown): TlsParameters {
  // What it is instead is not shown: it may be a key.
  if (typeof tls !== "object" || tls === null) {
    throw invalid("tls", example, typeof tls);
  }
  const unknown = Object.keys(tls).find((option) => !known.includes(option));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`tls.${unknown}: there is no such option. There are ${known.join(", ")}.`);
  }
  const { ca, cert, key, serverName } = tls as Record<string, unknown>;
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = key === undefined ? ["cert", "key"] : ["key", "cert"];
    throw new InvalidArgumentError(`tls.${given} is given without tls.${missing}. Give both, or neither.`);
  }
  const servername = checkText("tls.serverName", serverName);
  const pems = {
    ...(ca === undefined ? {} : { ca: (Array.isArray(ca) ? ca : [ca]).map((each) => checkPem("tls.ca", each)) }),
    ...(cert === undefined ? {} : { cert: checkPem("tls.cert", cert), key: checkPem("tls.key", key) }),
  };
  return {
    ...(Object.keys(pems).length === 0 ? {} : { secureContext: secureContext(pems) }),
    ...(servername === undefined ? {} : { servername }),
  };
}

function secureContext(pems: SecureContextOptions): SecureContext {
  try {
    // OpenSSL would pass over an authority that it cannot read.
    [pems.ca ?? []].flat().forEach((ca) => new X509Certificate(ca));
    return createSecureContext(pems);
  } catch (error) {
    // OpenSSL names the fault and shows nothing of what it read.
    const why = error instanceof Error ? error.message : inspect(error);
    throw new InvalidArgumentError(
      `tls: its certificates or its key cannot be used (${why}). ` +
        "Give ca, cert and key in PEM; the key must be that of the certificate, and without a passphrase.",
      { cause: error },
    );
  }
}

function checkPem(argument: string, pem: unknown): string {
  if (typeof pem !== "string" && !(pem instanceof Uint8Array)) {
    throw invalid(argument, "PEM: a text or bytes", typeof pem);
  }
  const text = typeof pem === "string" ? pem : Buffer.from(pem).toString();
  if (!text.includes("-----BEGIN ")) {
    // It is not shown: it may be a key.
    throw new InvalidArgumentError(
      `${argument} must be PEM, which has a line "-----BEGIN …", but has none. Give what is in the file, not its name.`,
    );
  }
  return text;
}

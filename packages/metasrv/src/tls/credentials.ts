import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { TlsSettings } from "./tls-settings.js";

/** Certificate, key and authorities that were found to be good. */
export interface Credentials {
  /** In PEM. */
  readonly cert: Buffer;
  /** In PEM. */
  readonly key: Buffer;
  /** Who signs the certificates of clients, in PEM; absent: clients are not asked for any. */
  readonly ca: Buffer | undefined;
  /** Changes with the content of any of the files. */
  readonly hash: string;
  /** Whose it is, for people. */
  readonly subject: string;
  /** From when on the certificate is valid, in Unix time. */
  readonly validFromMs: number;
  /** When the first certificate in the file ends, in Unix time. */
  readonly expiresAtMs: number;
}

/** What was read of the files, good or not. */
export interface CredentialFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  readonly hash: string;
}

/**
 * Reads the files.
 *
 * @throws Error that names the file
 */
export async function readCredentialFiles({ cert, key, clientCa }: TlsSettings): Promise<CredentialFiles> {
  const files = {
    cert: await read("certificate", cert),
    key: await read("private key", key),
    ca: clientCa === undefined ? undefined : await read("client authorities", clientCa),
  };
  const hash = createHash("sha256");
  for (const content of [files.cert, files.key, files.ca ?? ""]) {
    hash.update(`${content.length}:`).update(content);
  }
  return { ...files, hash: hash.digest("hex") };
}

/**
 * Checks that the files fit together.
 *
 * @throws Error that names the file, and says what was expected
 */
export function checkCredentials(files: CredentialFiles, settings: TlsSettings): Credentials {
  const { cert, key, ca } = files;
  const chain = certificatesOf(cert, settings.cert);
  const [own] = chain;
  const privateKey = attempt(
    () => createPrivateKey(key),
    `${settings.key} has no private key in PEM that can be read without a passphrase`,
  );
  if (!own.checkPrivateKey(privateKey)) {
    throw new Error(`the private key in ${settings.key} does not belong to the certificate in ${settings.cert}`);
  }
  if (ca !== undefined && settings.clientCa !== undefined) {
    certificatesOf(ca, settings.clientCa);
  }
  attempt(() => createSecureContext({ cert, key, ca }), `${settings.cert} cannot be used`);
  return {
    ...files,
    subject: [own.subject, own.subjectAltName].filter(Boolean).join(", "),
    validFromMs: Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom))),
    expiresAtMs: Math.min(...chain.map(({ validTo }) => Date.parse(validTo))),
  };
}

async function read(what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`the ${what} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** All certificates of a file; at least one. */
function certificatesOf(pem: Buffer, path: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const [first, ...rest] = blocks.map((block) =>
    attempt(() => new X509Certificate(block), `${path} has a certificate that cannot be read`),
  );
  if (first === undefined) {
    throw new Error(`${path} has no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----`);
  }
  return [first, ...rest];
}

function attempt<T>(action: () => T, failure: string): T {
  try {
    return action();
  } catch (error) {
    throw new Error(`${failure}: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

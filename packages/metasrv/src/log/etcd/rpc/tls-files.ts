import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { EtcdAccess } from "./etcd-access.js";
import { EtcdRefusal } from "./etcd-refusal.js";

/**
 * Reads the certificates for a connection. It is called for each new connection, so that files that were changed since count;
 * a connection that is there goes on with what it was made with.
 *
 * @throws EtcdRefusal when a file cannot be read, or is not what it should be
 */
export function readTls(files: NonNullable<EtcdAccess["tls"]>): SecureContextOptions {
  const options: SecureContextOptions = {};
  for (const part of ["ca", "cert", "key"] as const) {
    const path = files[part];
    if (path !== undefined) {
      options[part] = readPart(part, path);
    }
  }
  try {
    createSecureContext(options);
  } catch (error) {
    throw new EtcdRefusal(
      "certificate",
      `the key in ${files.key} does not fit the certificate in ${files.cert}: expected a pair (${textOf(error)})`,
      error,
    );
  }
  return options;
}

function readPart(part: "ca" | "cert" | "key", path: string): Buffer {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
    createSecureContext({ [part]: pem });
  } catch (error) {
    const expected = part === "key" ? "a private key" : "certificates";
    throw new EtcdRefusal(
      "certificate",
      `the file for store.tls.${part} (--store-tls-${part}) cannot be used: expected ${expected} in PEM (${textOf(error)})`,
      error,
    );
  }
  return pem;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

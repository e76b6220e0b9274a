// A polyfill that the library needs, and must find first.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate with its private key, both in PEM, as Node's `tls` takes them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** `metasrv test` by default. */
  readonly commonName?: string;
  /** Host names and addresses, each a subject alternative name. */
  readonly hosts?: readonly string[];
  /** URIs, each a subject alternative name, such as `spiffe://corp/billing`. */
  readonly uris?: readonly string[];
  /** Email addresses, each a subject alternative name. */
  readonly emails?: readonly string[];
  /** What it may be used for; both by default. */
  readonly usages?: readonly ("server" | "client")[];
  /** An hour ago by default. */
  readonly notBefore?: Date;
  /** In one day by default. Give a date that has passed for an expired certificate. */
  readonly notAfter?: Date;
}

/** An authority of one test. Each has a key of its own, so no authority's certificates pass for another's. */
export interface CertificateAuthority {
  /** Its own certificate in PEM, which others trust. */
  readonly cert: string;
  /** Makes a key and a certificate that is signed by this authority. */
  issue(options?: CertificateOptions): Promise<Certificate>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const hourMs = 3_600_000;

/**
 * Makes a certificate authority. It needs neither files nor the openssl program.
 *
 *     const authority = await createCertificateAuthority();
 *     const server = await authority.issue({ hosts: ["127.0.0.1", "localhost"] });
 *     const client = await authority.issue({ uris: ["spiffe://corp/billing"], usages: ["client"] });
 *
 * @param name - its common name
 */
export async function createCertificateAuthority(name = "metasrv test authority"): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const own = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    ...validity({}),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    cert: pemLines(own),
    async issue(options = {}) {
      const { publicKey, privateKey } = await generateKeys();
      const certificate = await X509CertificateGenerator.create({
        subject: subject(options),
        issuer: own.subject,
        ...validity(options),
        signingAlgorithm: algorithm,
        publicKey,
        signingKey: keys.privateKey,
        extensions: extensions(options),
      });
      return { cert: pemLines(certificate), key: await pemOf(privateKey) };
    },
  };
}

/** Makes a key and a certificate that no authority has signed. */
export async function createSelfSignedCertificate(options: CertificateOptions = {}): Promise<Certificate> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: subject(options),
    ...validity(options),
    signingAlgorithm: algorithm,
    keys,
    extensions: extensions(options),
  });
  return { cert: pemLines(certificate), key: await pemOf(keys.privateKey) };
}

function subject({ commonName = "metasrv test" }: CertificateOptions): string {
  return `CN=${commonName}`;
}

function validity({ notBefore, notAfter }: CertificateOptions): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: notBefore ?? new Date(now - hourMs), notAfter: notAfter ?? new Date(now + 24 * hourMs) };
}

function extensions({
  hosts = [],
  uris = [],
  emails = [],
  usages = ["server", "client"],
}: CertificateOptions): Extension[] {
  const names: JsonGeneralNames = [
    ...hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
    ...uris.map((value) => ({ type: "url" as const, value })),
    ...emails.map((value) => ({ type: "email" as const, value })),
  ];
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(
      usages.map((usage) => (usage === "server" ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth)),
    ),
    ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
  ];
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

/** With an end of line, so that certificates can follow each other in a file. */
function pemLines(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

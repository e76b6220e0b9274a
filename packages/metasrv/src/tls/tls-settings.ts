import { z } from "zod";
import { duration, durationMs } from "../config/duration.js";

const expected = "expected the path of a PEM file";
const file = z.string(expected).min(1, expected);

/** The section `tls` of the configuration. */
export const tlsSchema = z
  .strictObject({
    cert: file.describe("Certificate of this server in PEM, with those that lead to its authority."),
    key: file.describe("Private key of the certificate in PEM, without a passphrase."),
    clientCa: file.optional().describe("Authorities that sign the certificates of clients, in PEM."),
    clientAuth: z
      .enum(["none", "request", "require"])
      .optional()
      .describe("Whether clients need a certificate; require with a clientCa, else none."),
    plaintext: z.enum(["refuse", "loopback"]).optional().describe("Who may go without TLS."),
    minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).optional().describe("Oldest version of TLS."),
    maxSessionAge: duration
      .optional()
      .describe("After how long a connection with TLS ends; 1h if clients are asked for certificates, else 0s: never."),
  })
  .superRefine(({ clientCa, clientAuth }, context) => {
    if (clientCa === undefined && clientAuth !== undefined && clientAuth !== "none") {
      const message = `${clientAuth} needs to know who signs the certificates of clients; give the clientCa`;
      context.addIssue({ code: "custom", path: ["clientAuth"], message });
    } else if (clientCa !== undefined && clientAuth === "none") {
      const message = "means nothing while clients are not asked for certificates; drop this, or the clientAuth none";
      context.addIssue({ code: "custom", path: ["clientCa"], message });
    }
  });

/** What is given of the section. */
export type TlsInput = z.infer<typeof tlsSchema>;

/** The section, complete. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  /** A certificate that is not good is refused unless this is `none`. */
  readonly clientAuth: "none" | "request" | "require";
  readonly plaintext: "refuse" | "loopback";
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** So that a certificate that was withdrawn does not live on in a connection; 0: never. */
  readonly maxSessionAgeMs: number;
}

/** Fills in the defaults of a section that was checked. */
export function completeTls(input: TlsInput): TlsSettings {
  const { cert, key, clientCa, plaintext = "refuse", minVersion = "TLSv1.2" } = input;
  const { clientAuth = clientCa === undefined ? "none" : "require" } = input;
  const { maxSessionAge = clientAuth === "none" ? "0s" : "1h" } = input;
  return { cert, key, clientCa, clientAuth, plaintext, minVersion, maxSessionAgeMs: durationMs(maxSessionAge) ?? 0 };
}

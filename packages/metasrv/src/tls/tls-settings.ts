import { longestTimerMs } from "@metasrv/wire";
import { z } from "zod";

const expected = "expected the path of a PEM file";
const file = z.string(expected).min(1, expected);

/** The section `tls` of the configuration. */
export const tlsSettings = z
  .strictObject({
    /** PEM file of the certificate, followed by those that lead to its authority. */
    cert: file,
    /** PEM file of the private key, without a passphrase. */
    key: file,
    /** PEM file of the authorities that sign the certificates of clients. */
    clientCa: file.optional(),
    /**
     * Whether clients need a certificate: `require`; may have one: `request`; or are not asked: `none`. `require` when
     * there is a `clientCa`, else `none`. A certificate that is not good is refused in any case.
     */
    clientAuth: z.enum(["none", "request", "require"]).optional(),
    /** Who may go without TLS: nobody, or clients on this machine. */
    plaintext: z.enum(["refuse", "loopback"]).default("refuse"),
    minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2"),
    /**
     * After how long a connection with TLS ends, in milliseconds, so that a certificate that was withdrawn does not live
     * on in it; 0: never. An hour when clients are asked for certificates, else 0.
     */
    maxSessionAgeMs: z.int().min(0).max(longestTimerMs).optional(),
  })
  .superRefine(({ clientCa, clientAuth }, context) => {
    if (clientCa === undefined && clientAuth !== undefined && clientAuth !== "none") {
      const message = `${clientAuth} needs to know who signs the certificates of clients; give the clientCa`;
      context.addIssue({ code: "custom", path: ["clientAuth"], message });
    } else if (clientCa !== undefined && clientAuth === "none") {
      const message = "means nothing while clients are not asked for certificates; drop this, or the clientAuth none";
      context.addIssue({ code: "custom", path: ["clientCa"], message });
    }
  })
  .transform(({ clientAuth, maxSessionAgeMs, ...settings }) => {
    const asked = clientAuth ?? (settings.clientCa === undefined ? "none" : "require");
    return {
      ...settings,
      clientAuth: asked,
      maxSessionAgeMs: maxSessionAgeMs ?? (asked === "none" ? 0 : hourMs),
    };
  });

const hourMs = 3_600_000;

/** What is given of the section. */
export type TlsInput = z.input<typeof tlsSettings>;

/** The section, checked and complete. */
export type TlsSettings = z.output<typeof tlsSettings>;

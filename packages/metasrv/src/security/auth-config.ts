import { z } from "zod";
import { readLockName } from "../model/ticket-ref.js";
import { readCertificateName } from "./certificate-names.js";

/** What a principal may be allowed to do. */
export const rights = ["lock", "inspect", "force", "admin"] as const;

/** See {@link rights}. */
export type Right = (typeof rights)[number];

/** What principals are called in the configuration, in errors and in the audit. */
export const principalName = z
  .string()
  // A map of names would lose that one.
  .regex(/^(?!__proto__$)[\w.@-]{1,64}$/, "1 to 64 letters, digits and _ . @ -, and not __proto__");

const lockName = z
  .string()
  .refine(
    (text) => readLockName(text) !== undefined,
    "expected % and two hexadecimal digits for a byte, and %25 for the percent sign itself",
  );

const rule = z
  .strictObject({
    prefix: lockName
      .refine(
        (text) => /(?:^|[/:.])$/.test(readLockName(text) ?? ""),
        "expected an end of / or : or . so that a prefix never ends within a word, or nothing, which all names begin with",
      )
      .optional()
      .describe("All names that begin with this; bytes may be written as %00."),
    exact: lockName.min(1).optional().describe("This one name; bytes may be written as %00."),
    allow: z.array(z.enum(rights)).min(1).optional().describe("What may be done with them."),
    deny: z.array(z.enum(rights)).min(1).optional().describe("What may not be done with them."),
  })
  .refine((one) => (one.prefix === undefined) !== (one.exact === undefined), "expected either prefix or exact")
  .refine((one) => one.allow !== undefined || one.deny !== undefined, "expected allow, deny, or both");

/** What a principal may do with names that match. */
export type Rule = z.infer<typeof rule>;

const principal = z.strictObject({
  name: principalName,
  certificateSan: z
    .string()
    .refine(
      (text) => readCertificateName(text) !== undefined,
      "expected a URI, a DNS name or an email address, such as spiffe://corp/billing",
    )
    .optional()
    .describe("A subject alternative name of its client certificates: a URI, a DNS name or an email address."),
  tokenSha256: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, "the SHA-256 of a token, as 64 digits of 0-9 and a-f"))
    .min(1)
    .optional()
    .describe("The SHA-256 of each of its tokens, in hexadecimal."),
});

/** The section `auth`: who there is, and what they may do. */
export const authSchema = z
  .strictObject({
    principals: z.array(principal).min(1),
    roles: z.record(principalName, z.array(rule)).optional().describe("What each principal may do."),
    default: z.literal("deny").optional().describe("What no rule allows is denied."),
    anonymous: principalName.optional().describe("The principal of all who show neither a certificate nor a token."),
  })
  .superRefine(({ principals, roles = {}, anonymous }, context) => {
    const names = new Set<string>();
    const proofs = new Set<string>();
    for (const [at, { name, certificateSan, tokenSha256 = [] }] of principals.entries()) {
      const wrong = (path: string, message: string) => {
        context.addIssue({ code: "custom", path: ["principals", at, path], message });
      };
      if (names.has(name)) {
        wrong("name", `the principal ${name} is there twice; give it all of its tokens in one place`);
      }
      names.add(name);
      if (certificateSan === undefined && tokenSha256.length === 0 && anonymous !== name) {
        wrong("name", `nobody can be ${name}; give it certificateSan or tokenSha256, or name it as anonymous`);
      }
      const certificate = certificateSan === undefined ? undefined : readCertificateName(certificateSan);
      for (const proof of [...(certificate === undefined ? [] : [certificate]), ...tokenSha256]) {
        if (proofs.has(proof)) {
          wrong("name", `what proves ${name} proves another principal, too; give each its own`);
        }
        proofs.add(proof);
      }
    }
    const known = `expected one of the principals: ${[...names].join(", ")}`;
    for (const name of Object.keys(roles).filter((key) => !names.has(key))) {
      context.addIssue({ code: "custom", path: ["roles", name], message: known });
    }
    if (anonymous !== undefined && !names.has(anonymous)) {
      context.addIssue({ code: "custom", path: ["anonymous"], message: known });
    }
  });

/** See {@link authSchema}. */
export type AuthConfig = z.infer<typeof authSchema>;

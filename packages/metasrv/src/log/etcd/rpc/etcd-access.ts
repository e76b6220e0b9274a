import { z } from "zod";

const path = z.string().min(1, "expected the path of a file; got an empty text");

/** What etcd is told of this server, and what it must prove to it. All files are read when they are needed, each time anew. */
export const etcdAccessSchema = z.strictObject({
  /** For etcd behind https://; without it, the authorities that Node trusts, and no certificate of its own. */
  tls: z
    .strictObject({
      /** File with the certificates of the authorities that sign etcd's, PEM; instead of those that Node trusts. */
      ca: path.optional().describe("File with the certificates of the authorities that sign etcd's, PEM."),
      /** File with this server's own certificate, PEM, which etcd asks for with `--client-cert-auth`. */
      cert: path.optional().describe("File with this server's certificate for etcd, PEM."),
      /** File with the private key of that certificate, PEM. */
      key: path.optional().describe("File with the private key of that certificate, PEM."),
    })
    .optional(),
  /** A user of etcd. */
  username: z
    .string()
    .min(1, "expected the name of a user of etcd; got an empty text")
    .optional()
    .describe("A user of etcd."),
  /** File with the password of the user. One line break at its end is not part of it. */
  passwordFile: path.optional().describe("File with the password of the user."),
});

/** How etcd lets this server in. */
export type EtcdAccess = z.infer<typeof etcdAccessSchema>;

import { z } from "zod";

/** The section `audit`: where it is written who did what. */
export const auditSchema = z.strictObject({
  file: z.string().min(1).describe("Path of a file to which lines are added; - is the standard output."),
});

/** See {@link auditSchema}. */
export type AuditConfig = z.infer<typeof auditSchema>;

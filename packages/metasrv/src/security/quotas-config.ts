import { z } from "zod";
import { principalName } from "./auth-config.js";

/** What one principal may use of one server. */
export const quotaSchema = z.strictObject({
  tickets: z.int().min(1).optional().describe("Requests, held and waiting"),
  waitersPerLock: z.int().min(0).optional().describe("Requests for one lock that are not granted yet"),
  requestsPerSecond: z.int().min(1).optional().describe("Requests a second, and at once"),
  maxTtlMs: z.int().min(1).optional().describe("Longest TTL, in milliseconds"),
});

/** See {@link quotaSchema}. */
export type Quota = z.infer<typeof quotaSchema>;

/** The section `quotas`: what each principal may use of this server. */
export const quotasSchema = z.record(principalName, quotaSchema);

/** See {@link quotasSchema}. */
export type QuotasConfig = z.infer<typeof quotasSchema>;

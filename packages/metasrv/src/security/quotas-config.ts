import { z } from "zod";
import { duration } from "../config/duration.js";
import { principalName } from "./auth-config.js";

const quota = z.strictObject({
  tickets: z.int().min(1).optional().describe("Requests, held and waiting."),
  waitersPerLock: z.int().min(0).optional().describe("Requests for one lock that are not granted yet."),
  requestsPerSecond: z.int().min(1).optional().describe("Requests a second, and at once."),
  maxTtl: duration.optional().describe("Longest TTL."),
});

/** What one principal may use of one server. */
export type Quota = z.infer<typeof quota>;

/** The section `quotas`: what each principal may use of this server. */
export const quotasSchema = z.record(principalName, quota);

/** See {@link quotasSchema}. */
export type QuotasConfig = z.infer<typeof quotasSchema>;

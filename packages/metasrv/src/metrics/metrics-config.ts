import { z } from "zod";
import { mostFamilies, otherFamily } from "./families.js";

const family = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(?:[^*]|\*(?!\*))*$/, "expected no two * side by side")
  .refine((pattern) => pattern.split("*").length <= 5, "expected at most four *")
  .refine((pattern) => pattern !== otherFamily, "expected another word: other is where all other locks are counted");

/** The section `metrics`. */
export const metricsSchema = z.strictObject({
  enabled: z.boolean().optional().describe("Whether to serve /metrics; it is by default."),
  families: z
    .array(family)
    .max(mostFamilies, `expected at most ${mostFamilies} families`)
    .refine((patterns) => new Set(patterns).size === patterns.length, "expected each family once")
    .optional()
    .describe(
      "Families in which locks are counted, each a pattern in which * stands for any text; the first that matches counts.",
    ),
});

/** The section `metrics`, as it is given. */
export type MetricsInput = z.infer<typeof metricsSchema>;

/** The section `metrics`, complete. */
export interface MetricsConfig {
  readonly enabled: boolean;
  readonly families: readonly string[];
}

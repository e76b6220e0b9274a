import type { Readiness } from "../api/readiness.js";

/** An answer to GET and HEAD. */
export interface Probe {
  readonly status: number;
  /** Plain text. */
  readonly text: string;
}

/** The pages for load balancers and supervisors, by their paths. */
export function createProbes(readiness: Readiness): ReadonlyMap<string, () => Probe> {
  return new Map([
    // Says only that this process serves. A supervisor must not restart it because of what is wrong elsewhere.
    ["/healthz", () => ({ status: 200, text: "ok\n" })],
    [
      "/readyz",
      () => {
        const problems = readiness.problems().map((problem) => `not ready: ${problem}\n`);
        const warnings = readiness.warnings().map((warning) => `warning: ${warning}\n`);
        const [status, lines] = problems.length === 0 ? [200, ["ready\n"]] : [503, problems];
        return { status, text: [...lines, ...warnings].join("") };
      },
    ],
  ]);
}

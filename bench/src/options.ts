import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface Options {
  /** The main workloads in a short time. */
  readonly quick: boolean;
  /** Ids of the only workloads to run; absent: all. */
  readonly only: readonly string[] | undefined;
  /** Whether the results go into the page of a full run, in place of what it has of these workloads. */
  readonly update: boolean;
  /** If set, a mixed load runs for this many minutes instead of the workloads. */
  readonly soakMinutes: number | undefined;
  /** The factor for numbers of a million tickets or locks. */
  readonly scale: number;
  /** Folder for the results; absent: `docs` for a full run and for an update of it, `bench/results` for any other. */
  readonly out: string | undefined;
}

/** How to call the benchmark. */
export const usage = `Usage: npm run bench -- [options]
  --quick            the main workloads in two to three minutes
  --only <id,...>    these workloads only
  --update           with --only: put their results into the page of all, in place of older ones
  --scale <factor>   less than 1: with fewer than a million tickets or locks where there are so many, to try it out
  --soak <minutes>   a mixed load, and whether memory stays flat under it
  --out <folder>     where to write the results`;

/**
 * Reads the command line.
 *
 * @param workloads - the ids that there are
 * @throws Error that says what is wrong with it
 */
export function parseOptions(args: readonly string[], workloads: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      update: { type: "boolean", default: false },
      soak: { type: "string" },
      scale: { type: "string", default: "1" },
      out: { type: "string" },
    },
  });
  const only = values.only?.split(",");
  const unknown = only?.filter((id) => !workloads.includes(id)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only: there is no workload ${unknown.join(", ")}; there are ${workloads.join(", ")}`);
  }
  if (values.update && (only === undefined || values.quick || values.scale !== "1")) {
    throw new Error(
      "--update: the page has results of full length; give --only with it, and neither --quick nor --scale",
    );
  }
  const soakMinutes = values.soak === undefined ? undefined : Number(values.soak);
  if (soakMinutes !== undefined && !(soakMinutes > 0)) {
    throw new Error(`--soak: expected a number of minutes, got "${values.soak ?? ""}"`);
  }
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 1)) {
    throw new Error(`--scale: expected a factor up to 1, such as 0.01, got "${values.scale}"`);
  }
  return { quick: values.quick, only, update: values.update, soakMinutes, scale, out: values.out };
}

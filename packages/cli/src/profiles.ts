import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { exitCodes, ExitError } from "./exit-codes.js";

/** How to reach the servers, as a profile, the environment or the command line says it. */
export interface Reach {
  readonly endpoints?: readonly string[] | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** Whether the token may go to servers on other machines without TLS. */
  readonly insecureToken?: boolean | undefined;
}

const paths = ["ca", "cert", "key", "tokenFile"] as const;

/**
 * Reads a profile. Paths in the file are relative to its folder.
 *
 * @param wanted - its name; absent: the one that the file names in `profile`, if any
 * @returns an empty one if there is no file and none is wanted
 * @throws ExitError (78) that says what is wrong in the file
 */
export function readProfile(file: string, wanted: string | undefined): Reach {
  const text = readIfThere(file);
  if (text === undefined) {
    if (wanted !== undefined) {
      throw wrong(file, `there is no such file, and so no profile ${JSON.stringify(wanted)}`);
    }
    return {};
  }
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) {
    throw wrong(file, error.message);
  }
  const top = asMap((document.toJS() as unknown) ?? {}, ["profile", "profiles"], file, "the file");
  const profiles = asMap(top.profiles ?? {}, undefined, file, "profiles");
  const name = wanted ?? top.profile;
  if (name === undefined) {
    return {};
  }
  if (typeof name !== "string" || !Object.hasOwn(profiles, name)) {
    const there = Object.keys(profiles).join(", ");
    throw wrong(file, `there is no profile ${JSON.stringify(name)}; there are: ${there === "" ? "none" : there}`);
  }
  const where = `profile ${JSON.stringify(name)}`;
  return readReach(asMap(profiles[name], ["endpoints", ...paths], file, where), file, where);
}

function readReach(profile: Record<string, unknown>, file: string, where: string): Reach {
  const { endpoints } = profile;
  if (endpoints !== undefined && !(Array.isArray(endpoints) && endpoints.every((url) => typeof url === "string"))) {
    throw wrong(file, `endpoints of ${where} must be a list of URLs`);
  }
  const files = paths.map((name) => {
    const path = profile[name];
    if (path !== undefined && typeof path !== "string") {
      throw wrong(file, `${name} of ${where} must be the path of a file`);
    }
    return [name, path === undefined ? undefined : resolve(dirname(file), path)] as const;
  });
  return { endpoints, ...Object.fromEntries(files) };
}

function asMap(
  value: unknown,
  known: readonly string[] | undefined,
  file: string,
  where: string,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(file, `${where} must be a map`);
  }
  const unknown = Object.keys(value).find((key) => known !== undefined && !known.includes(key));
  if (unknown !== undefined) {
    throw wrong(file, `${where} has the unknown key ${JSON.stringify(unknown)}; known are: ${known?.join(", ")}`);
  }
  return value as Record<string, unknown>;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return undefined;
    }
    throw wrong(file, error instanceof Error ? error.message : String(error));
  }
}

function wrong(file: string, problem: string): ExitError {
  return new ExitError(exitCodes.config, `${file}: ${problem}`);
}

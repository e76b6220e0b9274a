import { completeConfig, ConfigError, type ConfigInput, type Setting } from "./config.js";
import { type ConfigFile, readConfigFile } from "./config-file.js";

/** What a server is started with. */
export interface StartSettings {
  readonly input: ConfigInput;
  /** What the config file says; empty without one. */
  readonly file: ConfigFile;
}

/**
 * Reads the config file, if there is one, and lays over it what the command line and the environment give. All of it is
 * checked, and nothing is returned unless all is right: so a server that is told to reload calls this again, and goes on
 * as before when it throws.
 *
 * @throws ConfigFileError if the fault is in the file
 * @throws ConfigError if it is on the command line or in the environment
 */
export async function readStartSettings(path: string | undefined, given: ConfigInput): Promise<StartSettings> {
  const file = path === undefined ? undefined : await readConfigFile(path);
  const input = overlay(file?.input ?? {}, given);
  try {
    completeConfig(input);
  } catch (error) {
    throw error instanceof ConfigError ? (file?.errorOf(error, (setting) => isGiven(given, setting)) ?? error) : error;
  }
  return { input, file: file?.content ?? {} };
}

function isGiven({ limits, ...given }: ConfigInput, setting: Setting): boolean {
  let value: unknown = { ...limits, ...given };
  for (const part of setting.split(".")) {
    value = isSection(value) ? value[part] : undefined;
  }
  return value !== undefined;
}

/** `over` wins where it has a value, in sections, too. Lists are taken as a whole. */
function overlay(under: object, over: object): ConfigInput {
  const both = new Map<string, unknown>(Object.entries(under));
  for (const [name, value] of Object.entries(over) as [string, unknown][]) {
    const below = both.get(name);
    if (value !== undefined) {
      both.set(name, isSection(below) && isSection(value) ? overlay(below, value) : value);
    }
  }
  return Object.fromEntries(both);
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

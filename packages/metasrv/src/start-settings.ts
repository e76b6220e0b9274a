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
    if (error instanceof ConfigError && !isGiven(given, error.setting)) {
      throw file?.problemWith(error.setting, error.problem) ?? error;
    }
    throw error;
  }
  return { input, file: file?.content ?? {} };
}

function isGiven({ limits, ...given }: ConfigInput, setting: Setting): boolean {
  const values: Partial<Record<Setting, unknown>> = { ...limits, ...given };
  return values[setting] !== undefined;
}

/** `over` wins where it has a value. Sections are taken as a whole, but for the limits. */
function overlay(under: ConfigInput, over: ConfigInput): ConfigInput {
  return { ...under, ...defined(over), limits: { ...under.limits, ...defined(over.limits ?? {}) } };
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

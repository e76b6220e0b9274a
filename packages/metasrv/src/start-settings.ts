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
  const { store = {}, ...others } = given;
  const { tls = {}, ...user } = store;
  const access = { ...prefixed("store.tls.", tls), ...prefixed("store.", user) };
  const values: Partial<Record<Setting, unknown>> = { ...limits, ...others, ...access };
  return values[setting] !== undefined;
}

function prefixed(prefix: string, values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}

/** `over` wins where it has a value. Sections are taken as a whole, but for the store, the limits and the metrics. */
function overlay(under: ConfigInput, over: ConfigInput): ConfigInput {
  return {
    ...under,
    ...defined(over),
    store: overlayStore(under.store, over.store),
    limits: { ...under.limits, ...defined(over.limits ?? {}) },
    metrics: under.metrics && over.metrics ? { ...under.metrics, ...over.metrics } : (over.metrics ?? under.metrics),
  };
}

function overlayStore(under: ConfigInput["store"], over: ConfigInput["store"]): ConfigInput["store"] {
  if (under === undefined || over === undefined) {
    return over ?? under;
  }
  const tls = under.tls && over.tls ? { ...under.tls, ...defined(over.tls) } : (over.tls ?? under.tls);
  return { ...under, ...defined(over), tls };
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

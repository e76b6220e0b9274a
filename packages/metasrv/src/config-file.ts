import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ConfigError, ConfigFault, ConfigInput, Setting } from "./config.js";
import { checkFile, type FileProblem, inOrder, isSecret, type Path, showPath } from "./config/checked-file.js";
import { duration, durationMs } from "./config/duration.js";
import { corsSchema } from "./http/origins.js";
import { etcdAccessSchema } from "./log/etcd/rpc/etcd-access.js";
import { logFormats } from "./logger.js";
import { metricsSchema } from "./metrics/metrics-config.js";
import { auditSchema } from "./security/audit-config.js";
import { authSchema } from "./security/auth-config.js";
import { quotasSchema } from "./security/quotas-config.js";
import { tlsSchema } from "./tls/tls-settings.js";

const whole = z.int().min(0);

/** The levels of the log, the most talkative first. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/**
 * The config file. To add a section, add a line here that refers to the section's own schema, an optional field with the
 * same name and the schema's type in {@link ConfigInput}, and a line in {@link inputOf}. A section's schema checks and does
 * not transform, so that it can check what it has checked before.
 */
export const configFileSchema = z.strictObject({
  bindAddr: z.string().optional().describe("Where to listen, as host:port; port 0 lets the system choose."),
  insecureListen: z
    .boolean()
    .optional()
    .describe("Listen where other machines reach this server, although callers need not prove who they are."),
  serverAddr: z.string().optional().describe("Where other servers and clients reach this one, as host:port."),
  memberTtl: duration.optional().describe("After how much silence other servers take over from a dead one."),
  drain: duration.optional().describe("How long clients may take to move to other servers before this one stops."),
  store: z
    .strictObject({
      backend: z.enum(["memory", "etcd"]).optional().describe("Where locks are kept."),
      addrs: z.array(z.string()).optional().describe("etcd members, as host:port or http(s)://host:port."),
      keyPrefix: z.string().optional().describe("What all keys in etcd start with."),
      connectTimeout: duration.optional().describe("How long etcd may be out of reach at the start."),
      requestTimeout: duration.optional().describe("How long one etcd request may take."),
      quotaBytes: whole.optional().describe("etcd's --quota-backend-bytes."),
      ...etcdAccessSchema.shape,
    })
    .optional(),
  limits: z
    .strictObject({
      maxNameBytes: whole.optional().describe("Longest lock name, in bytes."),
      maxOwnerBytes: whole.optional().describe("Longest owner text, in bytes."),
      defaultTtl: duration.optional().describe("TTL of a lock that was asked for without one."),
      minTtl: duration.optional().describe("Shortest TTL."),
      maxTtl: duration.optional().describe("Longest TTL."),
      maxWaitersPerLock: whole.optional().describe("Requests that may wait for one lock."),
      maxTickets: whole.optional().describe("Requests, held and waiting, that this server serves."),
      maxMessageBytes: whole.optional().describe("Largest request message, in bytes."),
      maxSessionCommands: whole.optional().describe("Requests and locks of one session."),
      maxAttached: whole.optional().describe("Sessions of clients that attach."),
      heartbeat: duration.optional().describe("How often each side of a session gives a sign of life."),
      sessionTimeout: duration.optional().describe("After how long without a sign of life a session is given up."),
      waiterGrace: duration.optional().describe("How long a wait outlives a broken connection."),
    })
    .optional(),
  log: z
    .strictObject({
      level: z.enum(logLevels).optional().describe("The least that is logged."),
      format: z.enum(logFormats).optional().describe("How lines are written: for programs, or for people."),
    })
    .optional(),
  metrics: metricsSchema.optional(),
  tls: tlsSchema.optional(),
  auth: authSchema.optional().describe("Who there is, and what they may do."),
  quotas: quotasSchema.optional().describe("What each principal may use of this server."),
  audit: auditSchema.optional().describe("Where it is written who did what."),
  console: z.enum(["on", "off"]).optional().describe("The page of locks at /console/."),
  cors: corsSchema.optional(),
});

/** What a config file says. */
export type ConfigFile = z.infer<typeof configFileSchema>;

/** The JSON Schema of the config file. */
export function configJsonSchema() {
  return { title: "Config file of metasrv", ...z.toJSONSchema(configFileSchema, { io: "input" }) };
}

/** A config file cannot be used. The message has a line for each problem, with its place. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
}

/** A config file that was read and checked. */
export interface ReadConfigFile {
  readonly content: ConfigFile;
  readonly input: ConfigInput;
  /**
   * The error with the places of settings that cannot be used; undefined if the file gives none of them.
   *
   * @param isGiven - whether the command line or the environment gives a setting, which then counts
   */
  readonly errorOf: (error: ConfigError, isGiven: (setting: Setting) => boolean) => ConfigFileError | undefined;
}

/**
 * Reads and checks a config file, all or nothing; read it again by the same call. What it says together with the command
 * line is for `completeConfig` to judge.
 *
 * @throws ConfigFileError
 */
export async function readConfigFile(path: string): Promise<ReadConfigFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigFileError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const checked = checkFile(text, configFileSchema);
  if ("problems" in checked) {
    throw new ConfigFileError(checked.problems.map((problem) => showProblem(path, problem)).join("\n"));
  }
  const { value: content, locate } = checked;
  return {
    content,
    input: inputOf(content),
    errorOf: ({ faults }, isGiven) => {
      const isHere = ({ setting }: ConfigFault) => !isGiven(setting) && isSet(content, placeOf(setting));
      const here = faults.filter(isHere).map(({ setting, problem }) => locate(placeOf(setting), problem));
      const elsewhere = faults.filter((fault) => !isHere(fault));
      return here.length === 0
        ? undefined
        : new ConfigFileError(
            [
              ...inOrder(here).map((problem) => showProblem(path, problem)),
              ...elsewhere.map(({ setting, problem }) => `${setting}: ${problem}`),
            ].join("\n"),
          );
    },
  };
}

/** What a config file sets, a line for each setting, without secrets. */
export function showSettings(content: ConfigFile): string[] {
  const form = configJsonSchema();
  const show = (value: unknown, path: Path): string[] => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return Object.entries(value).flatMap(([key, inner]) => show(inner, [...path, key]));
    }
    if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
      return value.flatMap((item, index) => show(item, [...path, index]));
    }
    return [`${showPath(path)}: ${isSecret(form, path) ? "(not shown)" : JSON.stringify(value)}`];
  };
  return show(content, []);
}

/** The configuration that a file describes. */
function inputOf({ store = {}, limits = {}, ...file }: ConfigFile): ConfigInput {
  const { defaultTtl, minTtl, maxTtl, heartbeat, sessionTimeout, waiterGrace, ...numbers } = limits;
  const memberTtlMs = ms(file.memberTtl);
  const { tls, username, passwordFile } = store;
  const hasAccess = tls !== undefined || username !== undefined || passwordFile !== undefined;
  return {
    bindAddr: file.bindAddr,
    insecureListen: file.insecureListen,
    serverAddr: file.serverAddr,
    backend: store.backend,
    storeAddrs: store.addrs,
    store: hasAccess ? { tls, username, passwordFile } : undefined,
    storeKeyPrefix: store.keyPrefix,
    storeConnectTimeoutMs: ms(store.connectTimeout),
    storeRequestTimeoutMs: ms(store.requestTimeout),
    storeQuotaBytes: store.quotaBytes,
    memberTtlSeconds: memberTtlMs === undefined ? undefined : memberTtlMs / 1000,
    drainMs: ms(file.drain),
    metrics: file.metrics,
    tls: file.tls,
    console: file.console,
    cors: file.cors,
    limits: {
      ...numbers,
      defaultTtlMs: ms(defaultTtl),
      minTtlMs: ms(minTtl),
      maxTtlMs: ms(maxTtl),
      heartbeatMs: ms(heartbeat),
      sessionTimeoutMs: ms(sessionTimeout),
      waiterGraceMs: ms(waiterGrace),
    },
    auth: file.auth,
    quotas: file.quotas,
    audit: file.audit,
  };
}

function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : durationMs(text);
}

/** Where a setting of {@link ConfigInput} is in the file. */
function placeOf(setting: Setting): string[] {
  if (setting.includes(".")) {
    return setting.split(".");
  }
  const key = setting.replace(/(?:Ms|Seconds)$/, "");
  if (key === "backend") {
    return ["store", key];
  }
  const inStore = /^store(?<first>[A-Z])(?<rest>.*)$/.exec(key)?.groups;
  if (inStore !== undefined) {
    return ["store", `${inStore.first?.toLowerCase()}${inStore.rest}`];
  }
  return key in configFileSchema.shape ? [key] : ["limits", key];
}

function isSet(content: unknown, path: readonly string[]): boolean {
  let value = content;
  for (const part of path) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  }
  return value !== undefined;
}

function showProblem(file: string, { path, line, column, problem }: FileProblem): string {
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${problem}`;
}

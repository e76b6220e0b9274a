import type { z } from "zod";
import { expectation, showPath } from "./config/checked-file.js";
import { type Cors, corsSchema } from "./http/origins.js";
import { type EtcdAccess, etcdAccessSchema } from "./log/etcd/rpc/etcd-access.js";
import { type MetricsConfig, type MetricsInput, metricsSchema } from "./metrics/metrics-config.js";
import { type Address, formatAddress, isLoopback, parseAddress } from "./model/address.js";
import { defaultLimits, type Limits } from "./model/limits.js";
import { type AuditConfig, auditSchema } from "./security/audit-config.js";
import { type AuthConfig, authSchema } from "./security/auth-config.js";
import type { SecurityConfig } from "./security/protection.js";
import { type QuotasConfig, quotasSchema } from "./security/quotas-config.js";
import { completeTls, type TlsInput, tlsSchema, type TlsSettings } from "./tls/tls-settings.js";

/** Where the locks are kept. */
export type Backend = "memory" | "etcd";

/** The settings. Each of them has a default. */
export interface ConfigInput {
  /** Where to listen, as host:port; port 0 lets the system choose. `127.0.0.1:3002` by default. */
  readonly bindAddr?: string | undefined;
  /** Whether `bindAddr` may be one that other machines reach although callers need not prove who they are. */
  readonly insecureListen?: boolean | undefined;
  /** Where other members and clients reach this server, as host:port; the bound address by default. */
  readonly serverAddr?: string | undefined;
  /** `etcd` when there are store addresses, else `memory`. */
  readonly backend?: Backend | undefined;
  /** The etcd members, each as host:port, `http://host:port` or `https://host:port`. */
  readonly storeAddrs?: readonly string[] | undefined;
  /** How etcd lets this server in: certificates, user and password. */
  readonly store?: EtcdAccess | undefined;
  /** What all keys in etcd start with; clusters that share an etcd need different ones. `metasrv` by default. */
  readonly storeKeyPrefix?: string | undefined;
  /** How long etcd may be out of reach at the start, in milliseconds; 30,000 by default. */
  readonly storeConnectTimeoutMs?: number | undefined;
  /** How long one etcd request may take, in milliseconds; 10,000 by default. */
  readonly storeRequestTimeoutMs?: number | undefined;
  /** After how many seconds of silence the other members take over a dead member's locks; 10 by default. */
  readonly memberTtlSeconds?: number | undefined;
  /** etcd's `--quota-backend-bytes`, which etcd does not report; 2 GiB, etcd's own default, by default. */
  readonly storeQuotaBytes?: number | undefined;
  /**
   * How long the clients of open sessions may take to move to other servers before this one stops, in milliseconds;
   * 2,000 by default. With 0, they are not asked to move.
   */
  readonly drainMs?: number | undefined;
  /**
   * Whether people get the console at /console/; by default if only this machine can reach the server, or it knows its clients.
   */
  readonly console?: "on" | "off" | undefined;
  /** Which web pages may call this server, besides its own; none by default. */
  readonly cors?: Cors | undefined;
  /** Whether `/metrics` is served, and in which families locks are counted there. */
  readonly metrics?: MetricsInput | undefined;
  /** Certificates, and who needs one; without it, there is no TLS. */
  readonly tls?: TlsInput | undefined;
  readonly limits?: { readonly [K in keyof Limits]?: Limits[K] | undefined } | undefined;
  /** Who there is, and what they may do; absent: everybody may do everything. */
  readonly auth?: AuthConfig | undefined;
  /** What each principal may use of this server; absent, or not in it: there is no bound. */
  readonly quotas?: QuotasConfig | undefined;
  /** Where it is written who did what; absent: nowhere. */
  readonly audit?: AuditConfig | undefined;
}

/** Where the locks are kept, and how to reach it. */
export type StoreConfig =
  | { readonly backend: "memory" }
  | {
      readonly backend: "etcd";
      readonly hosts: readonly string[];
      readonly access: EtcdAccess;
      readonly prefix: string;
      readonly connectTimeoutMs: number;
      readonly requestTimeoutMs: number;
      readonly memberTtlSeconds: number;
      readonly quotaBytes: number;
    };

/** A complete, valid configuration. */
export interface Config {
  readonly bind: Address;
  readonly serverAddr: string | undefined;
  readonly store: StoreConfig;
  /** See {@link ConfigInput.drainMs}. */
  readonly drainMs: number;
  readonly metrics: MetricsConfig;
  readonly tls: TlsSettings | undefined;
  readonly console: boolean;
  readonly cors: Cors;
  readonly limits: Limits;
  /** Undefined: everybody may do everything. */
  readonly security: SecurityConfig | undefined;
  /** Whether other machines may be served without proof of who they are, and tokens may come without TLS. */
  readonly insecureListen: boolean;
}

/** A setting of {@link ConfigInput}; one in a section has the section's name before it. */
export type Setting = Exclude<keyof ConfigInput, "limits"> | keyof Limits | `store.${string}` | `tls.${string}`;

/** A setting that cannot be used. */
export interface ConfigFault {
  readonly setting: Setting;
  /** What was expected and what came. */
  readonly problem: string;
}

/** Settings cannot be used. The message has a line for each. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** All that is wrong. */
  readonly faults: readonly ConfigFault[];

  constructor(setting: Setting, problem: string, others: readonly ConfigFault[] = []) {
    const faults = [{ setting, problem }, ...others];
    super(faults.map((fault) => `${fault.setting}: ${fault.problem}`).join("\n"));
    this.faults = faults;
  }
}

/** Goes on after a setting that cannot be used, so that all that is wrong is told at once. */
class Faults {
  readonly #faults: ConfigFault[] = [];

  get count(): number {
    return this.#faults.length;
  }

  /** What a check yields. @param instead - stands in for what cannot be used, while the rest is looked at */
  unless<T>(instead: T, check: () => T): T {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof ConfigError)) {
        throw error;
      }
      this.#faults.push(...error.faults);
      return instead;
    }
  }

  /** @throws ConfigError if there are any */
  throw(): void {
    throwAll(this.#faults);
  }
}

function throwAll([first, ...others]: readonly ConfigFault[]): void {
  if (first !== undefined) {
    throw new ConfigError(first.setting, first.problem, others);
  }
}

/** The defaults, besides {@link defaultLimits}. */
export const defaults = {
  bindAddr: "127.0.0.1:3002",
  storeKeyPrefix: "metasrv",
  storeConnectTimeoutMs: 30_000,
  storeRequestTimeoutMs: 10_000,
  memberTtlSeconds: 10,
  storeQuotaBytes: 2 * 1024 ** 3,
  drainMs: 2_000,
} as const;

/** Longest time that a timer of Node can measure, in milliseconds: about 24 days. */
const longestTimerMs = 2 ** 31 - 2;

/**
 * Checks a configuration and fills in the defaults.
 *
 * @throws ConfigError
 */
export function completeConfig(input: ConfigInput = {}): Config {
  const faults = new Faults();
  const bindAddr = input.bindAddr ?? defaults.bindAddr;
  const bind = faults.unless({ host: "127.0.0.1", port: 0 }, () => requireAddress(bindAddr));
  const tls = faults.unless(undefined, () => input.tls && completeTls(checkTls(input.tls)));
  const security = faults.unless(undefined, () => completeSecurity(input));
  const strangers = opensToStrangers({ bind, tls, security });
  const insecureListen = input.insecureListen === true;
  // Who is known cannot be said while that is wrong itself.
  if (strangers && !insecureListen && faults.count === 0) {
    faults.unless(undefined, () => {
      throw new ConfigError(
        "bindAddr",
        `other machines reach ${bindAddr}, and whoever does could take any lock, and force others out of theirs; configure ` +
          "principals (the section auth of --config), ask clients for certificates (--tls-client-ca), listen on 127.0.0.1, or " +
          "allow it with --insecure-listen if the network keeps strangers out",
      );
    });
  }
  const config = {
    bind,
    serverAddr: faults.unless(undefined, () => checkServerAddr(input.serverAddr)),
    store: faults.unless({ backend: "memory" }, () => completeStore(input)),
    drainMs: faults.unless(0, () => checkNumber("drainMs", input.drainMs ?? defaults.drainMs, 0, longestTimerMs)),
    metrics: faults.unless({ enabled: true, families: [] }, () => completeMetrics(input.metrics ?? {})),
    tls,
    console: input.console === "on" || (input.console === undefined && !strangers),
    cors: faults.unless({ origins: [] }, () => completeCors(input.cors)),
    limits: faults.unless(defaultLimits, () => completeLimits(input.limits ?? {})),
    security,
    insecureListen,
  } satisfies Config;
  faults.throw();
  return config;
}

function requireAddress(bindAddr: string): Address {
  const bind = parseAddress(bindAddr);
  if (bind === undefined) {
    throw new ConfigError("bindAddr", `expected host:port, such as 0.0.0.0:3002; got "${bindAddr}"`);
  }
  return bind;
}

function checkServerAddr(serverAddr: string | undefined): string | undefined {
  if (serverAddr !== undefined && (parseAddress(serverAddr)?.port ?? 0) === 0) {
    throw new ConfigError("serverAddr", `expected host:port, such as metasrv-1.example:3002; got "${serverAddr}"`);
  }
  return serverAddr;
}

/** The section of that name, checked. */
function section<T>(setting: Setting, schema: z.ZodType<T>, value: unknown): T {
  const { data, error } = schema.safeParse(value, { error: expectation });
  if (error !== undefined) {
    const problems = error.issues.map(({ path, code, message }) => {
      const where = path.length === 0 ? "" : `${showPath(path)}: `;
      return where + (code === "custom" ? message : `expected ${message}`);
    });
    throw new ConfigError(setting, problems.join("; "));
  }
  return data;
}

function completeSecurity({ auth, quotas, audit }: ConfigInput): SecurityConfig | undefined {
  if (auth === undefined) {
    const problem = "means nothing without principals; drop this, or configure auth";
    const given = (["quotas", "audit"] as const).filter((setting) => ({ quotas, audit })[setting] !== undefined);
    throwAll(given.map((setting) => ({ setting, problem })));
    return undefined;
  }
  const checked = section("auth", authSchema, auth);
  const names = checked.principals.map(({ name }) => name);
  const bounds = section("quotas", quotasSchema, quotas ?? {});
  const unknown = Object.keys(bounds).filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new ConfigError("quotas", `${unknown.join(", ")}: expected one of the principals: ${names.join(", ")}`);
  }
  return {
    auth: checked,
    quotas: bounds,
    audit: audit === undefined ? undefined : section("audit", auditSchema, audit),
  };
}

/** Whether those who are not known here can do something. */
export function opensToStrangers({ bind, tls, security }: Pick<Config, "bind" | "tls" | "security">): boolean {
  const identified = security !== undefined || tls?.clientAuth === "require";
  return !identified && !isLoopback(bind.host);
}

function checkTls(input: TlsInput): TlsInput {
  const { data, error } = tlsSchema.safeParse(input);
  throwAll(faultsIn("tls", error));
  return data ?? input;
}

/** What a schema says of a section. */
function faultsIn(section: Setting, error: z.ZodError | undefined): ConfigFault[] {
  const issues = error?.issues ?? [];
  return issues.map(({ path, message }) => ({ setting: [section, ...path].join(".") as Setting, problem: message }));
}

function completeCors(input: Cors = { origins: [] }): Cors {
  const { data, error } = corsSchema.safeParse(input);
  if (error !== undefined) {
    throw new ConfigError("cors", error.issues.map(({ message }) => message).join("; "));
  }
  return data;
}

/** The address that others are told: the configured one, or else the bound one. */
export function advertisedAddress(config: Config, bound: string): string {
  return config.serverAddr ?? bound;
}

/** Whether others would be told an address that means only "every address of this machine". */
export function advertisesWildcard({ serverAddr, bind }: Config): boolean {
  return serverAddr === undefined && (bind.host === "0.0.0.0" || bind.host === "::");
}

function completeStore(input: ConfigInput): StoreConfig {
  const { storeAddrs, backend = storeAddrs === undefined ? "memory" : "etcd" } = input;
  if (backend === "memory") {
    const given = etcdOnly.filter((setting) => input[setting] !== undefined);
    throwAll(
      given.map((setting) => ({
        setting,
        problem:
          setting === "storeAddrs"
            ? "the backend is memory, which has no store; drop this, or choose the backend etcd"
            : "means nothing to the backend memory; drop this, or give the addresses of etcd",
      })),
    );
    return { backend };
  }
  const faults = new Faults();
  const store = {
    backend,
    ...faults.unless({ hosts: [], access: {} }, () => completeAccess(storeAddrs ?? [], input.store ?? {})),
    prefix: faults.unless("", () => checkPrefix(input.storeKeyPrefix ?? defaults.storeKeyPrefix)),
    connectTimeoutMs: faults.unless(0, () => etcdNumber(input, "storeConnectTimeoutMs", 1, longestTimerMs)),
    requestTimeoutMs: faults.unless(0, () => etcdNumber(input, "storeRequestTimeoutMs", 1, longestTimerMs)),
    memberTtlSeconds: faults.unless(0, () => etcdNumber(input, "memberTtlSeconds", 2, 3600)),
    quotaBytes: faults.unless(0, () => etcdNumber(input, "storeQuotaBytes", 1, Number.MAX_SAFE_INTEGER)),
  };
  faults.throw();
  return store;
}

function checkPrefix(prefix: string): string {
  if (!/^\/?[\w.-]+(?:\/[\w.-]+)*$/.test(prefix) || /(?:^|\/)(?:locks|members)(?:\/|$)/.test(prefix)) {
    throw new ConfigError(
      "storeKeyPrefix",
      `expected letters, digits and _ . - in parts separated by /, no part being "locks" or "members"; got "${prefix}"`,
    );
  }
  return prefix;
}

const etcdOnly = [
  "storeAddrs",
  "store",
  "storeKeyPrefix",
  "storeConnectTimeoutMs",
  "storeRequestTimeoutMs",
  "memberTtlSeconds",
  "storeQuotaBytes",
] as const satisfies readonly Setting[];

function completeAccess(
  storeAddrs: readonly string[],
  input: EtcdAccess,
): { readonly hosts: readonly string[]; readonly access: EtcdAccess } {
  const faults = new Faults();
  const { data: access = {}, error } = etcdAccessSchema.safeParse(input);
  faults.unless(undefined, () => {
    throwAll(faultsIn("store", error));
  });
  const { tls, username, passwordFile } = access;
  const hosts = faults.unless([], () => storeHosts(storeAddrs, tls !== undefined));
  faults.unless(undefined, () => {
    checkPair("store.tls.cert", tls?.cert, "store.tls.key", tls?.key);
  });
  faults.unless(undefined, () => {
    checkPair("store.username", username, "store.passwordFile", passwordFile);
  });
  faults.throw();
  return { hosts, access };
}

function storeHosts(storeAddrs: readonly string[], isTls: boolean): string[] {
  if (storeAddrs.length === 0) {
    throw new ConfigError("storeAddrs", "the backend etcd needs at least one address, such as 127.0.0.1:2379");
  }
  const faults = new Faults();
  const hosts = storeAddrs.map((addr) => faults.unless("", () => storeHost(addr, isTls)));
  faults.throw();
  return hosts;
}

function checkPair(one: Setting, oneValue: unknown, other: Setting, otherValue: unknown): void {
  if ((oneValue === undefined) !== (otherValue === undefined)) {
    const [given, missing] = oneValue === undefined ? [other, one] : [one, other];
    throw new ConfigError(given, `means nothing without ${missing}; give both, or drop this`);
  }
}

function storeHost(text: string, isTls: boolean): string {
  const { scheme = isTls ? "https://" : "http://", rest = "" } =
    /^(?<scheme>https?:\/\/)?(?<rest>.*)$/.exec(text)?.groups ?? {};
  const address = parseAddress(rest);
  if (address === undefined || address.port === 0) {
    throw new ConfigError("storeAddrs", `expected host:port, http://host:port or https://host:port; got "${text}"`);
  }
  if (isTls && scheme === "http://") {
    throw new ConfigError(
      "storeAddrs",
      `certificates are given (store.tls), and ${text} is asked without TLS: write https://, or drop them`,
    );
  }
  return scheme + formatAddress(address);
}

type EtcdNumber = "storeConnectTimeoutMs" | "storeRequestTimeoutMs" | "memberTtlSeconds" | "storeQuotaBytes";

function etcdNumber(input: ConfigInput, setting: EtcdNumber, min: number, max: number): number {
  return checkNumber(setting, input[setting] ?? defaults[setting], min, max);
}

function checkNumber(setting: Setting, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    const unit = setting.endsWith("Ms") ? " ms" : setting.endsWith("Seconds") ? " seconds" : "";
    throw new ConfigError(setting, `expected a whole number from ${min} to ${max}${unit}; got ${value}${unit}`);
  }
  return value;
}

function completeMetrics(input: MetricsInput): MetricsConfig {
  const { data, error } = metricsSchema.safeParse(input);
  if (data === undefined) {
    const [issue] = error.issues;
    throw new ConfigError("metrics", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  return { enabled: data.enabled ?? true, families: data.families ?? [] };
}

function completeLimits(input: NonNullable<ConfigInput["limits"]>): Limits {
  const faults = new Faults();
  const limit = (setting: keyof Limits, min: number, max: number) =>
    faults.unless(defaultLimits[setting], () =>
      checkNumber(setting, input[setting] ?? defaultLimits[setting], min, max),
    );
  const minTtlMs = limit("minTtlMs", 1, longestTimerMs);
  const maxTtlMs = limit("maxTtlMs", minTtlMs, longestTimerMs);
  const heartbeatMs = limit("heartbeatMs", 10, longestTimerMs / 2);
  const maxNameBytes = limit("maxNameBytes", 1, 65_536);
  const maxOwnerBytes = limit("maxOwnerBytes", 0, 65_536);
  const limits = {
    maxNameBytes,
    maxOwnerBytes,
    minTtlMs,
    maxTtlMs,
    defaultTtlMs: limit("defaultTtlMs", minTtlMs, maxTtlMs),
    maxWaitersPerLock: limit("maxWaitersPerLock", 0, Number.MAX_SAFE_INTEGER),
    maxTickets: limit("maxTickets", 1, Number.MAX_SAFE_INTEGER),
    // Room for the longest name and owner in JSON, where one byte of a name can take two characters, and for the rest.
    maxMessageBytes: limit("maxMessageBytes", 2 * (maxNameBytes + maxOwnerBytes) + 1024, 2 ** 32 - 1),
    maxSessionCommands: limit("maxSessionCommands", 1, Number.MAX_SAFE_INTEGER),
    maxAttached: limit("maxAttached", 0, Number.MAX_SAFE_INTEGER),
    heartbeatMs,
    sessionTimeoutMs: limit("sessionTimeoutMs", 2 * heartbeatMs, longestTimerMs),
    waiterGraceMs: limit("waiterGraceMs", 0, longestTimerMs),
  };
  faults.throw();
  return limits;
}

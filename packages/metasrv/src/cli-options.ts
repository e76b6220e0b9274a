import { InvalidArgumentError, Option } from "commander";
import { type Backend, type ConfigInput, defaults, type Setting } from "./config.js";
import { durationForm, durationMs } from "./config/duration.js";
import { logLevels } from "./config-file.js";
import { defaultHealthUrl } from "./health-check.js";
import { type LogFormat, logFormats } from "./logger.js";
import { defaultLimits, type Limits } from "./model/limits.js";
import type { TlsInput, TlsSettings } from "./tls/tls-settings.js";

/** What commander reads from the command line and the environment, besides the log level. */
export interface StartOptions extends Partial<Limits> {
  readonly bindAddr?: string;
  readonly insecureListen?: boolean;
  readonly serverAddr?: string;
  readonly backend?: Backend;
  readonly storeAddrs?: readonly string[];
  readonly storeTlsCa?: string;
  readonly storeTlsCert?: string;
  readonly storeTlsKey?: string;
  readonly storeUsername?: string;
  readonly storePasswordFile?: string;
  readonly storeKeyPrefix?: string;
  /** Durations are read into milliseconds. */
  readonly storeConnectTimeout?: number;
  readonly storeRequestTimeout?: number;
  readonly memberTtl?: number;
  readonly storeQuotaBytes?: number;
  readonly drainMs?: number;
  readonly metrics?: "on" | "off";
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly tlsClientAuth?: TlsSettings["clientAuth"];
  readonly tlsPlaintext?: TlsSettings["plaintext"];
  readonly tlsMinVersion?: TlsSettings["minVersion"];
  readonly tlsMaxSessionAge?: string;
  readonly console?: "on" | "off";
  readonly corsOrigins?: readonly string[];
}

type AccessOption = "storeTlsCa" | "storeTlsCert" | "storeTlsKey" | "storeUsername" | "storePasswordFile";

/** What commander reads for `metasrv start`. */
export interface StartCommandOptions extends StartOptions {
  readonly config?: string;
  readonly logLevel?: string;
  readonly logFormat?: LogFormat;
}

/** What commander reads for `metasrv dump`. */
export interface DumpCommandOptions extends Pick<
  StartOptions,
  "storeAddrs" | "storeKeyPrefix" | "storeRequestTimeout" | AccessOption
> {
  readonly prefix?: string;
}

export function storeAddrsOption(): Option {
  const description = "etcd members, as host:port or http(s)://host:port, separated by commas";
  return option("store-addrs", "addrs", description).argParser(parseList);
}

/** How etcd lets a server or a command in. */
export function storeAccessOptions(): Option[] {
  return [
    option(
      "store-tls-ca",
      "file",
      "certificates of the authorities that sign etcd's, PEM (default: those that Node has)",
    ),
    option("store-tls-cert", "file", "this server's certificate for etcd, PEM"),
    option("store-tls-key", "file", "the private key of that certificate, PEM"),
    option("store-username", "name", "a user of etcd"),
    option("store-password-file", "file", "where the password of the user is"),
  ];
}

/** The section that {@link storeAccessOptions} describe; absent without them. */
export function storeAccessFrom(options: Pick<StartOptions, AccessOption>): ConfigInput["store"] {
  const { storeTlsCa: ca, storeTlsCert: cert, storeTlsKey: key, storeUsername, storePasswordFile } = options;
  const hasTls = ca !== undefined || cert !== undefined || key !== undefined;
  const hasUser = storeUsername !== undefined || storePasswordFile !== undefined;
  return hasTls || hasUser
    ? { ...(hasTls && { tls: { ca, cert, key } }), username: storeUsername, passwordFile: storePasswordFile }
    : undefined;
}

export function storeKeyPrefixOption(): Option {
  return option("store-key-prefix", "prefix", `what all keys in etcd start with (default: ${defaults.storeKeyPrefix})`);
}

export function storeRequestTimeoutOption(): Option {
  return duration("store-request-timeout", "how long one etcd request may take", defaults.storeRequestTimeoutMs);
}

export function healthUrlOption(): Option {
  const description = `/healthz or /readyz of the server (default: ${defaultHealthUrl})`;
  return new Option("--url <url>", description).env("METASRV_HEALTH_URL");
}

/** The options of `metasrv start`. `completeConfig` checks whether their values fit together. */
export function startOptions(): Option[] {
  const { storeConnectTimeoutMs, memberTtlSeconds, drainMs } = defaults;
  return [
    option("config", "file", "a file with settings, in YAML or JSON; the other options win over it"),
    option("bind-addr", "host:port", `where to listen; port 0 lets the system choose (default: ${defaults.bindAddr})`),
    new Option(
      "--insecure-listen [boolean]",
      "listen where other machines reach this server, although callers need not prove who they are (default: false)",
    )
      .env("METASRV_INSECURE_LISTEN")
      .preset("true")
      .argParser(parseBoolean),
    option("server-addr", "host:port", "where other servers and clients reach this one (default: the bound address)"),
    option("backend", "name", "where locks are kept (default: etcd with --store-addrs, else memory)").choices([
      "memory",
      "etcd",
    ]),
    storeAddrsOption(),
    ...storeAccessOptions(),
    storeKeyPrefixOption(),
    duration("store-connect-timeout", "how long etcd may be out of reach at the start", storeConnectTimeoutMs),
    storeRequestTimeoutOption(),
    duration(
      "member-ttl",
      "after how much silence other servers take over from a dead one, in whole seconds",
      memberTtlSeconds * 1000,
    ),
    number(
      "store-quota-bytes",
      "etcd's --quota-backend-bytes; a warning is written when its database is nearly as large",
      defaults.storeQuotaBytes,
    ),
    number(
      "drain-ms",
      "how long clients may take to move to other servers before this one stops, in milliseconds",
      drainMs,
    ),
    option(
      "console",
      "state",
      "the page of locks at /console/ (default: on if bound to loopback or with principals, else off)",
    ).choices(["on", "off"]),
    option(
      "cors-origins",
      "origins",
      "web pages that may call this server, as https://host, separated by commas (default: only its own)",
    ).argParser(parseList),
    option("metrics", "state", "whether to serve /metrics (default: on)").choices(["on", "off"]),
    option("log-format", "format", "how lines of the log are written (default: json)").choices(logFormats),
    option("tls-cert", "file", "certificate of this server in PEM, with those that lead to its authority"),
    option("tls-key", "file", "private key of the certificate in PEM, without a passphrase"),
    option("tls-client-ca", "file", "authorities that sign the certificates of clients, in PEM"),
    option(
      "tls-client-auth",
      "mode",
      "whether clients need a certificate (default: require with --tls-client-ca, else none)",
    ).choices(["none", "request", "require"]),
    option("tls-plaintext", "mode", "who may go without TLS (default: refuse)").choices(["refuse", "loopback"]),
    option("tls-min-version", "version", "oldest version of TLS (default: TLSv1.2)").choices(["TLSv1.2", "TLSv1.3"]),
    option(
      "tls-max-session-age",
      "duration",
      "after how long a connection with TLS ends; 0s: never (default: 1h if clients are asked for certificates, else 0s)",
    ),
    option("log-level", "level", "the least that is logged (default: info)").choices(logLevels),
    limit("maxNameBytes", "longest lock name, in bytes"),
    limit("maxOwnerBytes", "longest owner text, in bytes"),
    limit("defaultTtlMs", "TTL of a lock that was asked for without one, in milliseconds"),
    limit("minTtlMs", "shortest TTL, in milliseconds"),
    limit("maxTtlMs", "longest TTL, in milliseconds"),
    limit("maxWaitersPerLock", "requests that may wait for one lock"),
    limit("maxTickets", "requests, held and waiting, that this server serves"),
    limit("maxMessageBytes", "largest request message, in bytes"),
    limit("maxSessionCommands", "requests and locks of one session"),
    limit("maxAttached", "sessions of clients that HTTP/2 does not reach all the way, which attach"),
    limit("maxWatches", "watches that this server serves; one connection may have a tenth of them"),
    limit("heartbeatMs", "how often each side of a session gives a sign of life, in milliseconds"),
    limit("sessionTimeoutMs", "after how long without a sign of life a session is given up, in milliseconds"),
    limit("waiterGraceMs", "how long a wait outlives a broken connection, in milliseconds"),
  ];
}

/** The configuration that the options describe. */
export function configFrom(options: StartOptions): ConfigInput {
  const { bindAddr, insecureListen, serverAddr, backend, storeAddrs, storeKeyPrefix, ...rest } = options;
  const {
    storeConnectTimeout,
    storeRequestTimeout,
    memberTtl,
    storeQuotaBytes,
    drainMs,
    console,
    corsOrigins,
    metrics,
    ...sections
  } = rest;
  const { tlsCert, tlsKey, tlsClientCa, tlsClientAuth, tlsPlaintext, tlsMinVersion, tlsMaxSessionAge, ...limits } =
    sections;
  const tls = {
    cert: tlsCert,
    key: tlsKey,
    clientCa: tlsClientCa,
    clientAuth: tlsClientAuth,
    plaintext: tlsPlaintext,
    minVersion: tlsMinVersion,
    maxSessionAge: tlsMaxSessionAge,
  };
  return {
    bindAddr,
    insecureListen,
    serverAddr,
    backend,
    storeAddrs,
    store: storeAccessFrom(options),
    storeKeyPrefix,
    storeConnectTimeoutMs: storeConnectTimeout,
    storeRequestTimeoutMs: storeRequestTimeout,
    memberTtlSeconds: memberTtl === undefined ? undefined : memberTtl / 1000,
    storeQuotaBytes,
    drainMs,
    metrics: metrics && { enabled: metrics === "on" },
    // What is missing there is for the section itself to say.
    tls: Object.values(tls).some((value) => value !== undefined) ? (tls as TlsInput) : undefined,
    console,
    cors: corsOrigins && { origins: [...corsOrigins] },
    limits,
  };
}

/** The command-line option that sets a setting, such as `--member-ttl`. */
export function flagOf(setting: Setting): string {
  switch (setting) {
    case "storeConnectTimeoutMs":
      return "--store-connect-timeout";
    case "storeRequestTimeoutMs":
      return "--store-request-timeout";
    case "memberTtlSeconds":
      return "--member-ttl";
    case "cors":
      return "--cors-origins";
    default:
      return `--${kebabCase(setting.replaceAll(".", "-"))}`;
  }
}

function option(flag: string, value: string, description: string): Option {
  return new Option(`--${flag} <${value}>`, description).env(`METASRV_${flag.toUpperCase().replaceAll("-", "_")}`);
}

function number(flag: string, description: string, byDefault: number): Option {
  return option(flag, "n", `${description} (default: ${byDefault})`).argParser(parseNumber);
}

function duration(flag: string, description: string, byDefaultMs: number): Option {
  return option(flag, "duration", `${description} (default: ${byDefaultMs / 1000}s)`).argParser(parseDuration);
}

function limit(name: keyof Limits, description: string): Option {
  return number(kebabCase(name), description, defaultLimits[name]);
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A variable that says `false` must not mean yes, as it would by Commander's own rule. */
function parseBoolean(text: string): boolean {
  if (text !== "true" && text !== "false") {
    throw new InvalidArgumentError("Expected true or false.");
  }
  return text === "true";
}

function parseList(text: string): readonly string[] {
  return text.split(",").map((item) => item.trim());
}

function parseNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new InvalidArgumentError("Expected a whole number.");
  }
  return Number(text);
}

function parseDuration(text: string): number {
  const value = durationMs(text);
  if (value === undefined) {
    throw new InvalidArgumentError(`Expected ${durationForm}.`);
  }
  return value;
}

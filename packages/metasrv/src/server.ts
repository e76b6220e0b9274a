import { setTimeout } from "node:timers/promises";
import { readConsole } from "@metasrv/console";
import { systemClock } from "@metasrv/wire";
import { type Logger, pino } from "pino";
import { openAccess } from "./api/access.js";
import { Readiness } from "./api/readiness.js";
import {
  advertisedAddress,
  advertisesWildcard,
  completeConfig,
  type Config,
  ConfigError,
  type ConfigInput,
  opensToStrangers,
  type StoreConfig,
} from "./config.js";
import { Fold } from "./fold/fold.js";
import { createHttpHandler } from "./http/http-handler.js";
import { Listener } from "./http/listener.js";
import { createMetricsHandler } from "./http/metrics-page.js";
import { Origins } from "./http/origins.js";
import { createProbes } from "./http/probes.js";
import { createRoutes } from "./http/routes.js";
import { createMissingHandler, createStaticHandler, type StaticHandler } from "./http/static-files.js";
import { createStreamHandler } from "./http/stream-handler.js";
import type { CommandLog } from "./log/command-log.js";
import { createEtcdLog, type EtcdLogOptions } from "./log/etcd/etcd-log.js";
import { createMemoryLog } from "./log/memory-log.js";
import { Exposition } from "./metrics/exposition.js";
import { Metrics } from "./metrics/metrics.js";
import { parseAddress } from "./model/address.js";
import { knownLevel } from "./model/command.js";
import type { Fatal } from "./model/fatal-error.js";
import { LockError } from "./model/lock-errors.js";
import { LockNode } from "./node/lock-node.js";
import { Reloading } from "./reloading.js";
import { Protection } from "./security/protection.js";
import { noLongerKnown } from "./security/refusals.js";
import { OpenSessions } from "./session/open-sessions.js";
import { sendAwayWhenUnready } from "./session/unready.js";
import { ServerCredentials } from "./tls/server-credentials.js";
import { version } from "./version.js";

/** A server that serves. */
export interface RunningServer {
  /** The address that it listens on, as host:port. */
  readonly address: string;
  /**
   * Asks the clients of open sessions to move to other members, if there are any, and waits until they have moved, for
   * as long as is configured. Then it stops accepting connections, ends every wait with UNAVAILABLE, leaves held locks
   * to their TTL or to the other members, and ends the membership. All of that takes three seconds at most, even if the
   * store cannot be reached. Harmless when repeated.
   */
  stop(): Promise<void>;
  /**
   * Reads the configuration and the TLS files again, which it does by itself every 30 seconds, and opens the file of the audit
   * again. Principals, rights and quotas take effect at once, all of them, and new connections use the new certificate; what
   * cannot be used changes nothing, and is logged. Resolves once that is done.
   */
  reload(): Promise<void>;
}

/** Exit code of a process that has broken an invariant of its own, or that cannot read what is in the store. */
export const fatalExitCode = 70;

/** What both logs are made with. */
type LogOptions = Pick<EtcdLogOptions, "clock" | "logger" | "fatal" | "entryWritten">;

/** How long the node may take to end its waits and its membership, in milliseconds. */
const storeStopMs = 2_100;

/** How long open connections may take to end, in milliseconds. */
const connectionsStopMs = 2_500;

/**
 * Starts a server; resolves once it serves.
 *
 * @param input - by default, locks in memory at 127.0.0.1:3002
 * @param options.logger - silent by default
 * @param options.fatal - called when this process must end at once, because it cannot know any more who holds which lock;
 *   by default, it ends the process with exit code 70
 * @param options.reread - reads the configuration again: every 30 s, and when it is told to
 * @throws ConfigError when the configuration cannot be used; Error when the address or a TLS file cannot; LockError
 *   `store-unavailable` when the store could not be reached in the configured time; FatalError when what is in the store
 *   cannot be read
 */
export async function startServer(
  input: ConfigInput = {},
  options: {
    readonly logger?: Logger;
    readonly fatal?: Fatal;
    readonly reread?: () => ConfigInput | Promise<ConfigInput>;
  } = {},
): Promise<RunningServer> {
  const config = completeConfig(input);
  const { logger = pino({ level: "silent" }), fatal = exitAtOnce, reread } = options;
  const failStop: Fatal = (error) => {
    logger.fatal({ err: error }, "this server must not go on: it ends itself");
    fatal(error);
  };
  const { limits } = config;
  const clock = systemClock;
  const metrics = config.metrics.enabled ? new Metrics(config.metrics.families) : undefined;
  const { tls: settings } = config;
  const credentials = settings && (await ServerCredentials.open({ settings, clock, unixMs: () => Date.now(), logger }));
  const locks = new LockNode({
    log: createLog(config.store, { clock, logger, fatal: failStop, entryWritten: metrics?.entryWritten }),
    clock,
    limits,
    logger,
    observer: metrics,
    fold: new Fold(undefined, knownLevel, metrics?.groupOf),
  });
  const shutdown = new AbortController();
  const sessions = new OpenSessions();
  const readiness = new Readiness({
    clock,
    problems: () => [...locks.problems(), ...sessions.problems()],
    warnings: () => [...(credentials?.warnings() ?? []), ...reloading.warnings()],
  });
  const protection =
    config.security &&
    (await Protection.start(config.security, {
      locks,
      operated: locks,
      limits,
      clock,
      logger,
      plainTokens: config.insecureListen,
      onDenied:
        metrics &&
        ((reason) => {
          metrics.denied(reason);
        }),
    }));
  const reloading = new Reloading({
    clock,
    logger,
    reload: async () => {
      protection?.reopen();
      if (reread !== undefined) {
        try {
          changeRights(completeConfig(await reread()), { protection, sessions, logger });
        } catch (error) {
          protection?.notReplaced(error instanceof Error ? error.message : String(error));
          throw error;
        }
      }
    },
  });
  const dependencies = {
    access: protection?.access ?? openAccess(locks, locks),
    cluster: locks.cluster,
    sessions,
    readiness,
    limits,
    clock,
    logger,
  };
  const exposition =
    metrics &&
    new Exposition(clock, {
      metrics,
      tally: (family) => locks.tally(family),
      membershipLeftMs: () => locks.membershipLeftMs,
      leads: () => locks.cluster.leads,
      logFigures: () => locks.logFigures(),
      sessions: () => sessions.size,
      certificateExpiresAtMs: () => credentials?.expiresAtMs,
      version,
    });
  const handler = createHttpHandler({
    routes: createRoutes(dependencies),
    access: dependencies.access,
    probes: createProbes(readiness),
    pages: new Map(
      exposition && [
        [
          "/metrics",
          createMetricsHandler({
            page: (accept) => exposition.page(accept),
            allow:
              protection &&
              ((origin) => {
                protection.access.requireAdmin(origin);
              }),
          }),
        ],
      ],
    ),
    files: await createConsole(config),
    folders: config.console ? [consoleRoot] : [],
    origins: new Origins({
      allowed: config.cors.origins,
      serverHost: config.serverAddr === undefined ? undefined : parseAddress(config.serverAddr)?.host,
    }),
    maxWatches: limits.maxWatches,
    shutdownSignal: shutdown.signal,
    logger,
  });
  const streamHandler = createStreamHandler(dependencies, shutdown.signal);

  // Listening comes first, because it fails at once and tells the port. Until the node has joined, it refuses every
  // request as "not a member".
  const tls = settings && credentials && { settings, credentials };
  const { maxMessageBytes } = limits;
  const listener = await Listener.start({
    bind: config.bind,
    handler,
    streamHandler,
    maxMessageBytes,
    tls,
    clock,
    logger,
  }).catch(async (error: unknown) => {
    credentials?.stop();
    reloading.stop();
    await protection?.close();
    throw error;
  });
  const drain = async () => {
    if (config.drainMs > 0 && locks.cluster.hasPeers) {
      logger.info({ sessions: sessions.size }, "draining");
      const drained = sessions.drain(clock, config.drainMs);
      readiness.look();
      await drained;
    }
  };
  let stopSendingAway: () => void = () => undefined;
  const stop = async () => {
    credentials?.stop();
    reloading.stop();
    await drain();
    stopSendingAway();
    logger.info({ sessions: sessions.size }, "stopping");
    const drained = listener.stop(connectionsStopMs);
    // Fails the waits, so that the listener can send their answers while it drains.
    await withinTime(locks.stop(), logger);
    shutdown.abort(new LockError("shutting-down", "the server is stopping; ask another one"));
    await drained;
    exposition?.close();
    await protection?.close();
    logger.info("stopped");
  };
  try {
    await locks.start({
      address: advertisedAddress(config, listener.address),
      version,
      startedUnixMs: Date.now(),
    });
  } catch (error) {
    await stop();
    throw error;
  }
  stopSendingAway = sendAwayWhenUnready({ readiness, sessions, hasPeers: () => locks.cluster.hasPeers, clock, logger });
  announce(config, listener.address, logger);
  let stopped: Promise<void> | undefined;
  return {
    address: listener.address,
    stop: () => (stopped ??= stop()),
    reload: async () => {
      await credentials?.reload();
      await reloading.now();
    },
  };
}

/** Puts the rights of another configuration in force. @throws ConfigError when that needs another start */
function changeRights(
  { security }: Config,
  {
    protection,
    sessions,
    logger,
  }: { readonly protection: Protection | undefined; readonly sessions: OpenSessions; readonly logger: Logger },
): void {
  if ((security === undefined) !== (protection === undefined)) {
    throw new ConfigError("auth", "it was added or dropped, which takes effect at the next start only");
  }
  if (security !== undefined && protection?.replace(security) === true) {
    sessions.endUnproven(noLongerKnown);
    logger.info("principals, rights and quotas were read again");
  }
}

const consoleRoot = "/console/";

async function createConsole({ console }: Config): Promise<StaticHandler> {
  return console
    ? createStaticHandler({ root: consoleRoot, ...(await readConsole()) })
    : createMissingHandler(
        consoleRoot,
        "The console is off. It is on by default where a server can be reached from its own machine only, or knows its clients.\n",
      );
}

function createLog(store: StoreConfig, options: LogOptions): CommandLog {
  if (store.backend === "memory") {
    return createMemoryLog(options);
  }
  const { hosts, access, prefix, connectTimeoutMs, requestTimeoutMs, memberTtlSeconds, quotaBytes } = store;
  return createEtcdLog({
    ...options,
    hosts: [...hosts],
    access,
    prefix,
    connectTimeoutMs,
    requestTimeoutMs,
    memberTtlSeconds,
    quotaBytes,
  });
}

function exitAtOnce(): void {
  process.exit(fatalExitCode);
}

function announce(config: Config, address: string, logger: Logger): void {
  const { backend } = config.store;
  const serverAddr = advertisedAddress(config, address);
  if (backend === "memory") {
    logger.info("locks are kept in memory: they live only as long as this process, and no other server knows them");
  } else if (advertisesWildcard(config)) {
    logger.warn({ serverAddr }, "others are told an address that they cannot reach; configure the server address");
  }
  if (opensToStrangers(config)) {
    logger.warn({ address }, "whoever reaches this server can take any lock, and force others out of theirs");
  }
  logger.info({ address, serverAddr, backend, version }, "listening");
}

/**
 * A store that cannot be reached must not keep the server from stopping. What is left there ends with the member's
 * lease.
 */
async function withinTime(stopping: Promise<void>, logger: Logger): Promise<void> {
  const settled = new AbortController();
  const left = stopping
    .catch((error: unknown) => {
      logger.warn({ err: error }, "the store was not left cleanly; the membership will end with its lease");
    })
    .finally(() => {
      settled.abort();
    });
  const late = setTimeout(storeStopMs, undefined, { signal: settled.signal }).then(
    () => {
      logger.warn({ boundMs: storeStopMs }, "the store was not left in time; the membership will end with its lease");
    },
    () => undefined,
  );
  await Promise.race([left, late]);
}

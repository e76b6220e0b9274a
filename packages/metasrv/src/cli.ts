import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, CommanderError, Option } from "commander";
import { type Logger, pino } from "pino";
import {
  configFrom,
  type DumpCommandOptions,
  flagOf,
  healthUrlOption,
  type StartCommandOptions,
  startOptions,
  storeAccessFrom,
  storeAccessOptions,
  storeAddrsOption,
  storeKeyPrefixOption,
  storeRequestTimeoutOption,
} from "./cli-options.js";
import { completeConfig, ConfigError } from "./config.js";
import { ConfigFileError, configJsonSchema, showSettings } from "./config-file.js";
import { readTickets, ticketLine } from "./dump.js";
import { setGarbageCollection } from "./garbage-collection.js";
import { checkHealth, defaultHealthUrl } from "./health-check.js";
import { createLogger } from "./logger.js";
import { FatalError } from "./model/fatal-error.js";
import { fatalExitCode, type RunningServer, startServer } from "./server.js";
import { readStartSettings } from "./start-settings.js";
import { version } from "./version.js";

/** Exit code when the server could not start or had to be stopped by force. */
const failed = 1;

/** How long the process waits at its end for the last log lines to be written, in milliseconds. */
const writtenWithinMs = 500;

/** How many bytes of log may wait to be written. While nobody reads the output, what is logged beyond that is lost. */
const maxUnwrittenLog = 4 * 1024 * 1024;

/** Exit code when the command line or the configuration cannot be used. */
const misused = 2;

/**
 * Runs the command line. Returns once a server serves, or once another command is done. A server ends its process on
 * SIGTERM or SIGINT, and reads its TLS files again on SIGHUP.
 *
 * @param argv - as in `process.argv`
 */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed the message already.
      process.exitCode = error.exitCode === 0 ? 0 : misused;
    } else if (error instanceof ConfigError) {
      const problems = error.faults.map(({ setting, problem }) => `error: ${flagOf(setting)}: ${problem}\n`);
      process.stderr.write(`${problems.join("")}See 'metasrv start --help'.\n`);
      process.exitCode = misused;
    } else if (error instanceof ConfigFileError) {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = misused;
    } else {
      process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = error instanceof FatalError ? fatalExitCode : failed;
    }
  }
}

function createProgram(): Command {
  const program = new Command("metasrv")
    .description("A lock server: gRPC, Connect and HTTP/JSON over etcd or memory.")
    .version(version)
    .exitOverride()
    .showHelpAfterError("See 'metasrv --help'.");
  const start = program
    .command("start")
    .description("Start a server. Every option can also be given by the environment variable named beside it.")
    .showHelpAfterError("See 'metasrv start --help'.")
    .helpOption("-h, --help", "display help for command")
    .action(serve);
  for (const option of startOptions()) {
    start.addOption(option);
  }
  const dumpCommand = program
    .command("dump")
    .description("Print the tickets that are in etcd, held and waiting, as lines of JSON. Needs no server.")
    .showHelpAfterError("See 'metasrv dump --help'.")
    .helpOption("-h, --help", "display help for command")
    .addOption(storeAddrsOption().makeOptionMandatory())
    .addOption(storeKeyPrefixOption())
    .addOption(new Option("--prefix <prefix>", "the same, in short").conflicts("storeKeyPrefix"))
    .addOption(storeRequestTimeoutOption())
    .action(dump);
  for (const option of storeAccessOptions()) {
    dumpCommand.addOption(option);
  }
  program
    .command("health")
    .description(
      "Ask a server whether it serves (/healthz) or is to be sent requests (/readyz): exit code 0 if so, else 1.",
    )
    .showHelpAfterError("See 'metasrv health --help'.")
    .helpOption("-h, --help", "display help for command")
    .addOption(healthUrlOption())
    .action(async ({ url = defaultHealthUrl }: { readonly url?: string }) => {
      process.stdout.write(`${await checkHealth(url)}\n`);
    });
  const config = program
    .command("config")
    .description("Check a config file, or print what it may contain.")
    .helpOption("-h, --help", "display help for command");
  config
    .command("check")
    .description(
      "Print what a config file sets, or all that is wrong with it. Options and the environment do not count.",
    )
    .argument("<file>", "YAML or JSON")
    .action(checkConfig);
  config
    .command("schema")
    .description("Print the JSON Schema of the config file.")
    .action(() => {
      process.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
    });
  return program;
}

async function checkConfig(path: string): Promise<void> {
  const { file } = await readStartSettings(path, {});
  process.stdout.write(`${path} is right. It sets:\n`);
  for (const line of showSettings(file)) {
    process.stdout.write(`  ${line}\n`);
  }
}

async function dump(options: DumpCommandOptions): Promise<void> {
  const { storeAddrs, prefix: storeKeyPrefix = options.storeKeyPrefix, storeRequestTimeout } = options;
  const config = completeConfig({
    storeAddrs,
    store: storeAccessFrom(options),
    storeKeyPrefix,
    storeRequestTimeoutMs: storeRequestTimeout,
  });
  if (config.store.backend !== "etcd") {
    throw new Error("a dump needs addresses of etcd");
  }
  const { hosts, access, prefix, requestTimeoutMs } = config.store;
  const tickets = await readTickets({ hosts, access, prefix, timeoutMs: requestTimeoutMs });
  for (const ticket of tickets) {
    if (!process.stdout.write(`${ticketLine(ticket)}\n`)) {
      await once(process.stdout, "drain");
    }
  }
}

async function serve({ config, logLevel, logFormat, ...options }: StartCommandOptions): Promise<void> {
  setGarbageCollection();
  const { input, file } = await readStartSettings(config, configFrom(options));
  const output = pino.destination({ dest: process.stdout.fd, maxLength: maxUnwrittenLog });
  const { level = "info", format = "json" } = file.log ?? {};
  const logger = createLogger({ level: logLevel ?? level, format: logFormat ?? format, output });
  const exit = exitOnceWritten(output);
  let server: RunningServer | undefined;
  stopOnSignals({ logger, exit, stop: () => server?.stop() });
  process.on("SIGHUP", () => {
    logger.info("told to reload");
    void server?.reload();
  });
  endOnFaults(logger, exit);
  try {
    server = await startServer(input, {
      logger,
      fatal: () => void exit(fatalExitCode),
      reread: async () => (await readStartSettings(config, configFrom(options))).input,
    });
  } catch (error) {
    logger.debug({ err: error }, "could not start");
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    await exit(error instanceof FatalError ? fatalExitCode : failed);
  }
}

/**
 * Ends the process after a fault in the program: what it left half done could make locks look held, or free, that are
 * not.
 */
function endOnFaults(logger: Logger, exit: Exit): void {
  const onFault = (error: unknown) => {
    logger.fatal({ err: error }, "this server has a fault: it ends itself");
    void exit(fatalExitCode);
  };
  process.on("uncaughtException", onFault);
  process.on("unhandledRejection", onFault);
}

/** Ends this process. Only the first exit code counts. */
type Exit = (code: number) => Promise<never>;

/**
 * Exits once the log is written, or once nobody reads it any more. The output is destroyed first, because pino would
 * otherwise try for ever at exit to write the rest.
 */
function exitOnceWritten(output: ReturnType<typeof pino.destination>): Exit {
  const over = new Promise<void>((resolve) => {
    output.on("close", resolve);
    output.on("error", () => {
      resolve();
    });
  });
  const exit: Exit = async (code) => {
    output.end();
    await Promise.race([over, sleep(writtenWithinMs)]);
    output.destroy();
    process.exit(code);
  };
  let exiting: Promise<never> | undefined;
  return (code) => (exiting ??= exit(code));
}

/** The first signal stops the server, which takes less than five seconds. A second signal ends the process at once. */
function stopOnSignals({
  logger,
  exit,
  stop,
}: {
  readonly logger: Logger;
  readonly exit: Exit;
  readonly stop: () => Promise<void> | undefined;
}): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) {
      void exit(failed);
      return;
    }
    stopping = true;
    logger.info({ signal }, "told to stop");
    void (async () => {
      try {
        await stop();
      } catch (error) {
        logger.error({ err: error }, "could not stop cleanly");
        await exit(failed);
      }
      await exit(0);
    })();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}
